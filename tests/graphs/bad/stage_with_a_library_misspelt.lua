-- SPDX-License-Identifier: Apache-2.0
local tm = require "tidemill"
local docs = tm.read { "pages.txt" }
local change = tm.stage {
  name = "change",
  batch = function(docs, o, emit)
    for _, doc in ipairs(docs) do emit({ text = strng.sub(doc.text, 1, 9) }, doc) end
  end,
}
return tm.graph { out = change { docs } }
