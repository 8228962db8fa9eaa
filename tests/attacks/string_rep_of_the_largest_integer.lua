-- TM0102:2
local s = ("xy"):rep(math.maxinteger, "abc")
