-- has no 'os'
local tm = require "tidemill"
local attack = tm.stage {
  name = "attack", seconds = 0.5,
  each = function(doc, o, emit)
    _ENV.os.execute("touch /tmp/owned")
  end,
}
return tm.graph { out = attack { tm.read { "record.txt" } } }
