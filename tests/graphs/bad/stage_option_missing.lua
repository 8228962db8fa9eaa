local tm = require "tidemill"
local docs = tm.read { "pages.txt" }
local shout = tm.stage {
  name = "shout",
  options = { suffix = tm.string {} },
  each = function(doc, o, emit) emit { text = doc.text .. o.suffix } end,
}
return tm.graph { loud = shout { docs } }
