-- TM0124
local tm = require "tidemill"
local node, many = tm.read { "x" }, {}
for i = 1, 400 do many[i] = i end
tm.sweep({ a = many, b = many }, function(v) return tm.split { node, seed = v.a * 1000 + v.b } end)
