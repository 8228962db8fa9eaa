-- SPDX-License-Identifier: Apache-2.0
local tm = require "tidemill"
local docs = tm.read { "pages.txt" }
local change = tm.stage {
  name = "change",
  each = function(doc, o, emit)
    emit { text = tex }
  end,
}
return tm.graph { out = change { docs } }
