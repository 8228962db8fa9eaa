-- a chunk needs more 
local tm = require "tidemill"
local attack = tm.stage {
  name = "attack", seconds = 0.5,
  each = function(doc, o, emit)
    local t = {}
    while true do t[#t + 1] = {} end
  end,
}
return tm.graph { out = attack { tm.read { "record.txt" } } }
