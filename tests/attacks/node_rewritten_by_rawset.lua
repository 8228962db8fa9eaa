-- TM0102
local tm = require "tidemill"
local node = tm.read { "x" }
if pcall(rawset, node, 1, 99) or pcall(function() node[1] = 99 end) then return tm.graph { node = node } end
error("held: a node is what it is, " .. tostring(node))
