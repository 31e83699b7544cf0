81 hello
