-- TM0114
return require("..")
