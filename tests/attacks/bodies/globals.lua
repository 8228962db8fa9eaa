-- would become a global
local tm = require "tidemill"
local attack = tm.stage {
  name = "attack", seconds = 0.5,
  each = function(doc, o, emit)
    _ENV.seen = doc.id
  end,
}
return tm.graph { out = attack { tm.read { "record.txt" } } }
