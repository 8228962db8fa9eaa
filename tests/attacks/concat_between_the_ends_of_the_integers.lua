-- TM0102
table.concat({}, "", math.mininteger, math.maxinteger)
