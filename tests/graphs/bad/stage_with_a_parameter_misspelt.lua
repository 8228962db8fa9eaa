-- SPDX-License-Identifier: Apache-2.0
local tm = require "tidemill"
local docs = tm.read { "pages.txt" }
local change = tm.stage {
  name = "change",
  each = function(record, options, emit)
    emit { text = recrod.text:lower() }
  end,
}
return tm.graph { out = change { docs } }
