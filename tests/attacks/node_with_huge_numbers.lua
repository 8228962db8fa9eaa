-- TM0102
local tm = require "tidemill"
tm.read { "x", threshold = 1e300, seed = math.mininteger, rate = 5e-324 }
error("held: they are numbers")
