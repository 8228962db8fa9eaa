-- a metatable with __gc
local tm = require "tidemill"
local attack = tm.stage {
  name = "attack", seconds = 0.5,
  each = function(doc, o, emit)
    setmetatable({}, { __gc = function() end })
  end,
}
return tm.graph { out = attack { tm.read { "record.txt" } } }
