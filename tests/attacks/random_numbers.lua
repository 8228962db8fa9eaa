-- TM0102
return math.random()
