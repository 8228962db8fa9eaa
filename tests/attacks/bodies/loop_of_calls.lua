-- stack overflow
local tm = require "tidemill"
local attack = tm.stage {
  name = "attack", seconds = 0.5,
  each = function(doc, o, emit)
    local function f() return 1 + f() end
    f()
  end,
}
return tm.graph { out = attack { tm.read { "record.txt" } } }
