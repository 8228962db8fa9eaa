-- SPDX-License-Identifier: Apache-2.0
local tm = require "tidemill"
local docs = tm.read { "pages.txt" }
local clean = tm.curate { docs, tm.split { docs } }
return tm.graph { clean = clean }
