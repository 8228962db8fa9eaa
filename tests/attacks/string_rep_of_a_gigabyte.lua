-- TM0102:2
local s = ("x"):rep(1 << 30)
