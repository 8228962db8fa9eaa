-- SPDX-License-Identifier: Apache-2.0
local tm = require "tidemill"
local pages = tm.read { "pages.txt", format = "text" }
local clean = tm.curate { pages, tm.html_text {} }
return tm.graph { clean = clean }
