-- TM0102
local mt = getmetatable("")
if type(mt) == "table" then mt.__index = function() return "mine" end end
string.rep = function() return "mine" end
if ("a"):rep(2) == "aa" then error("held: methods are as they were") end
