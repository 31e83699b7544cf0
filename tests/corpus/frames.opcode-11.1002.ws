8b hello
