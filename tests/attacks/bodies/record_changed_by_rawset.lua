-- table expected, got userdata
local tm = require "tidemill"
local attack = tm.stage {
  name = "attack", seconds = 0.5,
  each = function(doc, o, emit)
    rawset(doc, "text", "other")
  end,
}
return tm.graph { out = attack { tm.read { "record.txt" } } }
