-- SPDX-License-Identifier: Apache-2.0
local tm = require "tidemill"
local pages = tm.read { "pages.txt", format = "htm" }
return tm.graph { pages = pages }
