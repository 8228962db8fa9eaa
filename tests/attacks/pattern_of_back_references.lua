-- TM0120
local text = ("ab"):rep(3000)
while true do text:find("(.-)(.-)%1%2%1c") end
