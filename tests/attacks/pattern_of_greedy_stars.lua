-- TM0120:3
local text = ("x"):rep(4000)
for _ in text:gmatch(".*.*.*.*b") do end
