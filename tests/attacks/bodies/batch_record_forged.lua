-- comes from records of this call, not from a table
local tm = require "tidemill"
local attack = tm.stage {
  name = "attack", seconds = 0.5,
  batch = function(docs, o, emit)
    emit({ text = "other" }, { setmetatable({ id = "forged" }, { __index = docs[1] }) })
  end,
}
return tm.graph { out = attack { tm.read { "record.txt" } } }
