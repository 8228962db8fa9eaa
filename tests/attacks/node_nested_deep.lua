-- TM0112
local tm = require "tidemill"
local t = {}
for i = 1, 100 do t = { t } end
tm.read { t }
