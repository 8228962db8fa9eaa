-- xxxx
local tm = require "tidemill"
local attack = tm.stage {
  name = "attack", seconds = 0.5,
  each = function(doc, o, emit)
    error(("x"):rep(8 << 20))
  end,
}
return tm.graph { out = attack { tm.read { "record.txt" } } }
