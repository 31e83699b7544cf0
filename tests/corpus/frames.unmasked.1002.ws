unmasked 81 {"ping": 1}
