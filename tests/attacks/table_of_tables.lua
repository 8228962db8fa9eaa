-- TM0121
local t = {}
while true do t[#t + 1] = { {} } end
