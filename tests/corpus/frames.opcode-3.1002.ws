83 hello
