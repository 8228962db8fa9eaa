local tm = require "tidemill"
local docs = tm.read { "pages.txt" }
local n = 0
local function number()
  n = n + 1
  return n
end
local count = tm.stage {
  name = "count",
  each = function(doc, o, emit) emit { text = number() .. doc.text } end,
}
return tm.graph { numbered = count { docs } }
