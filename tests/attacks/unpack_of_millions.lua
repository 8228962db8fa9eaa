-- TM0102
return table.unpack({}, 1, 100000000)
