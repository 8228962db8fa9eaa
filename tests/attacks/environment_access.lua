-- TM0115
return os.getenv("HOME")
