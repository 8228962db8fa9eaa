-- TM0112
local tm = require "tidemill"
local t = {}
t.inner = { t }
tm.read { options = t }
