-- SPDX-License-Identifier: Apache-2.0
local tm = require "tidemill"
local docs = tm.read { "pages.txt" }
local both = { docs = docs }
return tm.graph { ["runs.docs"] = docs, runs = both }
