-- TM0112:3
local tm = require "tidemill"
tm.read { "caf\xe9" }
