-- SPDX-License-Identifier: Apache-2.0
local tm = require "tidemill"
pages = tm.read { "pages.txt" }
return tm.graph { pages = pages }
