-- has no 'io'
local tm = require "tidemill"
local attack = tm.stage {
  name = "attack", seconds = 0.5,
  each = function(doc, o, emit)
    _ENV.io.open("/etc/passwd")
  end,
}
return tm.graph { out = attack { tm.read { "record.txt" } } }
