-- SPDX-License-Identifier: Apache-2.0
local tm = require "tidemill"
local swap = tm.stage {
  name = "swap", options = { to = tm.int { 1, min = 0 } }, each = function(doc, o, emit) emit(doc) end,
}
return tm.graph { docs = swap { tm.read { "pages.txt" }, to = -5 } }
