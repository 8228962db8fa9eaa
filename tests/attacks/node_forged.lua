-- TM0112
local tm = require "tidemill"
tm.read { { ["$ref"] = { node = 7, out = "" } } }
