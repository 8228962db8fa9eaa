-- TM0120
local text = ("x"):rep(100)
while true do text:gsub(".", function(c) return c end) end
