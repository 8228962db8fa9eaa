-- a chunk needs more than 0.5 seconds of processor time
local tm = require "tidemill"
local attack = tm.stage {
  name = "attack", seconds = 0.5,
  each = function(doc, o, emit)
    while true do pcall(function() while true do end end) end
  end,
}
return tm.graph { out = attack { tm.read { "record.txt" } } }
