-- TM0115
return package.loadlib("libc.so.6", "system")
