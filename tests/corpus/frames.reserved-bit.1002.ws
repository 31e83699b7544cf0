c1 {"ping": 1}
