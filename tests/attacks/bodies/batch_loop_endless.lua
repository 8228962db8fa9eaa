-- needs more than 0.5 seconds of processor time
local tm = require "tidemill"
local attack = tm.stage {
  name = "attack", seconds = 0.5,
  batch = function(docs, o, emit)
    while #docs > 0 do docs[1] = docs[1] end
  end,
}
return tm.graph { out = attack { tm.read { "record.txt" } } }
