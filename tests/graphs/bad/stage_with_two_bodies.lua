local tm = require "tidemill"
local docs = tm.read { "pages.txt" }
local shout = tm.stage {
  name = "shout",
  each = function(doc, o, emit) emit { text = doc.text:upper() } end,
  batch = function(docs, o, emit) for _, doc in ipairs(docs) do emit(doc) end end,
}
return tm.graph { loud = shout { docs } }
