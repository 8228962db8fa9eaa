-- TM0115
return load("\27Lua", "x", "b")
