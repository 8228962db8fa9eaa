-- has no 'load'
local tm = require "tidemill"
local attack = tm.stage {
  name = "attack", seconds = 0.5,
  each = function(doc, o, emit)
    _ENV.load("return 1")()
  end,
}
return tm.graph { out = attack { tm.read { "record.txt" } } }
