-- TM0102
local function deeper() return coroutine.wrap(deeper)() end
deeper()
