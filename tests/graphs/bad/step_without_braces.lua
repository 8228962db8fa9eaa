-- SPDX-License-Identifier: Apache-2.0
local tm = require "tidemill"
local clean = tm.curate { tm.read { "pages.txt" }, tm.fix_unicode, tm.gopher {} }
return tm.graph { clean = clean }
