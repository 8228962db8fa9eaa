local tm = require "tidemill"
local docs = tm.read { "pages.txt" }
return tm.graph { out = tm.exec { docs, program = { "sort" }, env = { LEVEL = 3 } } }
