-- TM0102
local mt = {}
local t = setmetatable({}, mt)
mt.__gc = function() end
if pcall(setmetatable, {}, { __gc = print }) then return t end
error("held: no finalizer")
