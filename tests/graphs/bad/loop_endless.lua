-- SPDX-License-Identifier: Apache-2.0
local tm = require "tidemill"
local n = 0
while true do
  n = n + 1
end
return tm.graph { docs = tm.read { "pages.txt" } }
