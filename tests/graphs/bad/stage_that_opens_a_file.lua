-- SPDX-License-Identifier: Apache-2.0
local tm = require "tidemill"
local docs = tm.read { "pages.txt" }
local function words(path)
  local io = { path = path }
  return io.path
end
local function lines(path)
  return io.open(path):lines()
end
local change = tm.stage {
  name = "change",
  each = function(doc, o, emit)
    for line in lines(words("words.txt")) do emit { text = line .. doc.text } end
  end,
}
return tm.graph { out = change { docs } }
