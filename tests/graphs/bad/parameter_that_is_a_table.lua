local tm = require "tidemill"
local p = tm.params { words = tm.table { { "a", "b" } } }
return tm.graph { docs = tm.read { p.words[1] } }
