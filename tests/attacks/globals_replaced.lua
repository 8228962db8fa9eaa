-- TM0102
local tm = require "tidemill"
rawset(_ENV, "pairs", nil)
rawset(_ENV, "require", nil)
_ENV.string.format = nil
_ENV.table.sort = nil
local node = tm.read { "x", a = { b = 1, c = 2 } }
error("held: the module goes its own way " .. tostring(node))
