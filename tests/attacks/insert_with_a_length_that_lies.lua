-- TM0102
local t = setmetatable({}, { __len = function() return math.maxinteger end })
table.insert(t, 1, "x")
if rawlen(t) == 1 then error("held: the real length counts") end
