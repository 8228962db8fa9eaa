-- follow from the node's seed
local tm = require "tidemill"
local attack = tm.stage {
  name = "attack", seconds = 0.5,
  each = function(doc, o, emit)
    math.randomseed(1)
  end,
}
return tm.graph { out = attack { tm.read { "record.txt" } } }
