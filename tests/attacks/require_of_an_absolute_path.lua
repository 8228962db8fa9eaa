-- TM0114
return require("/etc/passwd")
