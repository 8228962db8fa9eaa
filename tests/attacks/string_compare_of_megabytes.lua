-- TM0122:4
local a, b = ("x"):rep(1 << 24), ("x"):rep(1 << 24)
a, b = a .. a .. "a", b .. b .. "b"
while a < b do end
