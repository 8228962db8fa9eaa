-- TM0124:5
local tm = require "tidemill"
local node = tm.read { "x" }
for i = 1, 10000000 do
  node = tm.split { node }
end
