-- SPDX-License-Identifier: Apache-2.0
local tm = require "tidemill"
local docs = tm.split {
  tm.read { "pages.txt" },
  vaild = 0.02,
}
return tm.graph { train = docs.train }
