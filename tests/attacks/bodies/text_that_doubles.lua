-- a chunk needs more 
local tm = require "tidemill"
local attack = tm.stage {
  name = "attack", seconds = 0.5,
  each = function(doc, o, emit)
    local s = "x"
    while true do s = s .. s end
  end,
}
return tm.graph { out = attack { tm.read { "record.txt" } } }
