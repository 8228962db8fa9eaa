-- TM0102
local tm = require "tidemill"
local trap = setmetatable({}, { __index = function() error("reached") end })
tm.params { a = tm.int(trap) }
