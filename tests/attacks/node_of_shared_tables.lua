-- TM0124
local tm = require "tidemill"
local t = { "x" }
for i = 1, 40 do t = { t, t } end
tm.read { t }
