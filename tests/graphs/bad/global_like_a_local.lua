-- SPDX-License-Identifier: Apache-2.0
local tm = require "tidemill"
local first = tm.read { "pages.txt" }
return tm.graph { all = tm.concat { { frist, first } } }
