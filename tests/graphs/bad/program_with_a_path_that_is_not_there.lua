-- SPDX-License-Identifier: Apache-2.0
local tm = require "tidemill"
local docs = tm.read { "pages.txt" }
return tm.graph { out = tm.exec { docs, program = { "./tool", "pages.txt" } } }
