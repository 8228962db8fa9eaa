-- TM0114
return require("require_of_itself")
