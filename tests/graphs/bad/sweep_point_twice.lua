local tm = require "tidemill"
local trials = tm.sweep({ { n = 1 }, { n = 1.0 } }, function(v) return tm.read { "pages.txt" } end)
return tm.graph { trials = trials }
