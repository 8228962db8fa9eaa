-- TM0115
return load("return 1")
