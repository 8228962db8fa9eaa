-- needs more
local tm = require "tidemill"
local attack = tm.stage {
  name = "attack", seconds = 0.5,
  batch = function(docs, o, emit)
    local all = {}
    for i = 1, 1e9 do all[i] = docs[1] pcall(emit, { text = "x" }, all) end
  end,
}
return tm.graph { out = attack { tm.read { "record.txt" } } }
