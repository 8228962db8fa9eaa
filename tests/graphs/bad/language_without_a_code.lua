-- SPDX-License-Identifier: Apache-2.0
local tm = require "tidemill"
local docs = tm.read { "pages.txt" }
local clean = tm.curate { docs, tm.language { keep = { "en", "deu" } } }
local none = tm.curate { docs, tm.language { keep = {} } }
return tm.graph { clean = clean, none = none }
