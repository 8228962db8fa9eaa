-- TM0102
local text = ("x"):rep(1000)
while true do text = text:gsub("x", "%0%0%0%0%0%0%0%0") end
