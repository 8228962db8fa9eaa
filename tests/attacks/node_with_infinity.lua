-- TM0112:3
local tm = require "tidemill"
tm.read { "x", threshold = math.huge }
