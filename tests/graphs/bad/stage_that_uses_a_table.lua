local tm = require "tidemill"
local docs = tm.read { "pages.txt" }
local stops = { the = true, a = true }
local strip = tm.stage {
  name = "strip",
  each = function(doc, o, emit)
    emit { text = (doc.text:gsub("%a+", function(word) if stops[word] then return "" end end)) }
  end,
}
return tm.graph { plain = strip { docs } }
