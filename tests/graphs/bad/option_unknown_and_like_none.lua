-- SPDX-License-Identifier: Apache-2.0
local tm = require "tidemill"
local docs = tm.read { "pages.txt" }
return tm.graph { clean = tm.curate { docs, tm.gopher { min_words = 3 } } }
