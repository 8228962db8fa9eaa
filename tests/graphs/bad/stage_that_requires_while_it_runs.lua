-- SPDX-License-Identifier: Apache-2.0
local tm = require "tidemill"
local docs = tm.read { "pages.txt" }
local change = tm.stage {
  name = "change",
  each = function(doc, o, emit)
    local words = require "words"
    emit { text = words[1] .. doc.text }
  end,
}
return tm.graph { out = change { docs } }
