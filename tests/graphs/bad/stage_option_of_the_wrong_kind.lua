local tm = require "tidemill"
local docs = tm.read { "pages.txt" }
local shout = tm.stage {
  name = "shout",
  options = { times = tm.int { 1, min = 1, doc = "how often" } },
  each = function(doc, o, emit) emit { text = doc.text:rep(o.times) } end,
}
return tm.graph { loud = shout { docs, times = 0 } }
