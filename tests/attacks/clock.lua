-- TM0115
return os.clock()
