-- TM0106
local tm = require "tidemill"
local node = tm.read { "x" }
node.stage = "exec"
