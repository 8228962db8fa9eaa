local tm = require "tidemill"
local docs = tm.read { "pages.txt" }
local shout = tm.stage {
  name = "shout",
  each = function(doc, o, emit) emit { text = doc.text:upper() } end,
  batch_size = 8,
}
return tm.graph { loud = shout { docs } }
