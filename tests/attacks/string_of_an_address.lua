-- TM0102
local shown = tostring({}) .. tostring(print) .. tostring(coroutine.create(print)) .. string.format("%s %s", {}, print)
local ok = pcall(string.format, "%p", {})
if not ok and not shown:find("0x") then error("held: no address") end
return shown
