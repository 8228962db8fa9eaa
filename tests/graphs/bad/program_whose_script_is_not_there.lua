-- SPDX-License-Identifier: Apache-2.0
local tm = require "tidemill"
local docs = tm.read { "pages.txt" }
return tm.graph { out = tm.exec { docs, program = { "python3", "-u", "score.py", "--fast" } } }
