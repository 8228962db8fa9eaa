local tm = require "tidemill"
local docs = tm.read { "pages.txt" }
local shout = tm.stage { name = "shout", batch = true }
return tm.graph { loud = shout { docs } }
