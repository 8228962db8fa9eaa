-- field 'dump'
local tm = require "tidemill"
local attack = tm.stage {
  name = "attack", seconds = 0.5,
  each = function(doc, o, emit)
    local library = string
    library.dump(function() end)
  end,
}
return tm.graph { out = attack { tm.read { "record.txt" } } }
