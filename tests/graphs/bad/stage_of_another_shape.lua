local tm = require "tidemill"
local docs = tm.read { "pages.txt" }
local turns = tm.stage {
  name = "turns",
  takes = "chat",
  each = function(doc, o, emit) emit { messages = doc.messages } end,
}
return tm.graph { n = turns { docs } }
