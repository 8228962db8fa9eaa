-- TM0114
return require("a\0b")
