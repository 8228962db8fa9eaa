-- TM0124
local tm = require "tidemill"
local many, values = {}, {}
for i = 1, 100 do many[i] = i end
for i = 1, 10 do values["k" .. i] = many end
tm.sweep(values, function() end)
