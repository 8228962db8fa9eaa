-- TM0120:2
for i = 1, math.maxinteger do end
