09 hello
