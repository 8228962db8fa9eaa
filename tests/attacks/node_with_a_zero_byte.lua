-- TM0112
local tm = require "tidemill"
tm.read { "a\0b" }
