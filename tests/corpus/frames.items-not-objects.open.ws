81 {"subscribe": [1, null, [], "x"], "unsubscribe": [null]}
