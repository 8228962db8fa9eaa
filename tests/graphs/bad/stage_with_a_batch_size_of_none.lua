local tm = require "tidemill"
local docs = tm.read { "pages.txt" }
local shout = tm.stage {
  name = "shout",
  batch_size = 0,
  batch = function(docs, o, emit) emit(docs[1]) end,
}
return tm.graph { loud = shout { docs } }
