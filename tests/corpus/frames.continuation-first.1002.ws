80 hello
