-- SPDX-License-Identifier: Apache-2.0
local tm = require "tidemill"
local docs = tm.read { "pages.txt" }
local cut = string.sub
local change = tm.stage {
  name = "change",
  each = function(doc, o, emit)
    emit { text = cut(string.uper(doc.text), 1, 9) }
  end,
}
return tm.graph { out = change { docs } }
