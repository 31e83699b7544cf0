82 {"ping": 1}
