-- more than 16 MiB
local tm = require "tidemill"
local attack = tm.stage {
  name = "attack", seconds = 0.5,
  each = function(doc, o, emit)
    emit { text = ("x"):rep(2 ^ 30) }
  end,
}
return tm.graph { out = attack { tm.read { "record.txt" } } }
