local tm = require "tidemill"
local docs = tm.read { "pages.txt" }
local count = tm.stage {
  name = "count",
  each = function(doc, o, emit) emit { text = tm.gopher } end,
}
return tm.graph { n = count { docs } }
