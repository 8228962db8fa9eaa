-- SPDX-License-Identifier: Apache-2.0
local tm = require "tidemill"
local docs = tm.read { "pages.txt" }
local change = tm.stage {
  name = "change",
  each = function(doc, o, emit)
    count = #doc.text
    emit { text = doc.text .. count }
  end,
}
return tm.graph { out = change { docs } }
