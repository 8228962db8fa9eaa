-- SPDX-License-Identifier: Apache-2.0
local tm = require "tidemill"
local docs = tm.read { "pages.txt" }
return tm.graph { counted = tm.exec { docs, "python3", "count.py" } }
