-- TM0102
local t = {}
setmetatable(t, { __call = t })
t()
