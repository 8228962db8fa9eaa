-- a chunk needs more 
local tm = require "tidemill"
local attack = tm.stage {
  name = "attack", seconds = 0.5,
  each = function(doc, o, emit)
    while true do emit(doc) end
  end,
}
return tm.graph { out = attack { tm.read { "record.txt" } } }
