local tm = require "tidemill"
local trials = tm.sweep({ n = { 1, 2 } }, function(v) return { docs = tm.split { tm.read { "pages.txt" }, valid = 0.5 } } end)
return tm.graph { base = tm.best { trials, by = "train.loss" } }
