81 {"token": "no token"}
