-- has no 'coroutine'
local tm = require "tidemill"
local attack = tm.stage {
  name = "attack", seconds = 0.5,
  each = function(doc, o, emit)
    _ENV.coroutine.wrap(function() end)()
  end,
}
return tm.graph { out = attack { tm.read { "record.txt" } } }
