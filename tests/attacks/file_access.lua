-- TM0115
return io.open("/etc/passwd")
