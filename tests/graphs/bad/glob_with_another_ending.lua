-- SPDX-License-Identifier: Apache-2.0
local tm = require "tidemill"
local docs = tm.read { "./*.tx" }
return tm.graph { docs = docs }
