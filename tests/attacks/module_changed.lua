-- TM0105
local tm = require "tidemill"
tm.read = function() end
