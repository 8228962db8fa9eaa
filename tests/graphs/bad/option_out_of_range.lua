-- SPDX-License-Identifier: Apache-2.0
local tm = require "tidemill"
local docs = tm.read { "pages.txt" }
local clean = tm.curate { docs, tm.fuzzy_dedup { threshold = 1.8 } }
return tm.graph { clean = clean }
