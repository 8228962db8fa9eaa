-- SPDX-License-Identifier: Apache-2.0
local tm = require "tidemill"
local pages = tm.reed { "pages.txt" }
return tm.graph { pages = pages }
