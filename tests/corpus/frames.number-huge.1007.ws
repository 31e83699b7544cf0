81 {"subscribe": [{"id": 1e400}]}
