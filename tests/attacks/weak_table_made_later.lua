-- TM0102
local mt = {}
local weak = setmetatable({}, mt)
mt.__mode = "v"
rawset(mt, "__mode", "v")
for i = 1, 1000 do weak[i] = { i } end
local garbage = {}
for i = 1, 200000 do garbage[i % 10] = { i } end
local n = 0
for _ in pairs(weak) do n = n + 1 end
if n == 1000 then error("held: nothing vanished") end
