-- SPDX-License-Identifier: Apache-2.0
local tm = require "tidemill"
return tm.graph { docs = tm.read {
