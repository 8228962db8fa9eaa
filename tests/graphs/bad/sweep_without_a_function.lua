local tm = require "tidemill"
local trials = tm.sweep({ lr = { 1, 2 } })
return tm.graph { trials = trials }
