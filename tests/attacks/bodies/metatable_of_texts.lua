-- cannot change a protected metatable
local tm = require "tidemill"
local attack = tm.stage {
  name = "attack", seconds = 0.5,
  each = function(doc, o, emit)
    setmetatable(getmetatable("x") and {} or {}, nil)
    setmetatable(setmetatable({}, { __metatable = 1 }), {})
  end,
}
return tm.graph { out = attack { tm.read { "record.txt" } } }
