-- TM0102
local function f() return pcall(f) end
f()
error("held: it ended")
