-- a chunk needs more 
local tm = require "tidemill"
local attack = tm.stage {
  name = "attack", seconds = 0.5,
  each = function(doc, o, emit)
    local t = {}
    while true do pcall(function() t[#t + 1] = ("x"):rep(8 << 20) .. #t end) end
  end,
}
return tm.graph { out = attack { tm.read { "record.txt" } } }
