-- SPDX-License-Identifier: Apache-2.0
local tm = require "tidemill"
local docs = tm.read { "pages.txt" }
local change = tm.stage {
  name = "change",
  each = function(doc, o, emit)
    local os_name, meta = doc.meta.os, { os = "any" }
    emit { text = os_name .. " " .. os.time(), meta = meta }
  end,
}
return tm.graph { out = change { docs } }
