-- no message but a table
local tm = require "tidemill"
local attack = tm.stage {
  name = "attack", seconds = 0.5,
  each = function(doc, o, emit)
    error { 1 }
  end,
}
return tm.graph { out = attack { tm.read { "record.txt" } } }
