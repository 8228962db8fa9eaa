-- TM0102
return string.format("%999999d", 1)
