-- SPDX-License-Identifier: Apache-2.0
local tm = require "tidemil"
return tm.graph { docs = tm.read { "pages.txt" } }
