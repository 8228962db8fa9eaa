-- SPDX-License-Identifier: Apache-2.0
local tm = require "tidemill"
local list = io.open("list.txt")
return tm.graph { docs = tm.read { "pages.txt" } }
