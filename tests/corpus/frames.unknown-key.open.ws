81 {"subscribed": []}
