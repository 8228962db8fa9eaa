-- TM0102
error("/etc/passwd:12: stolen", 0)
