-- SPDX-License-Identifier: Apache-2.0
local tm = require "tidemill"
local docs = tm.read { "pages.txt" }
local valid = tm.split { tm.concat { { docs } }, valid = 1.5 } -- valid = 0.5 would do
return tm.graph { valid = valid.valid }
