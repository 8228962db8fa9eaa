-- SPDX-License-Identifier: Apache-2.0
local tm = require "tidemill"
local p = tm.params {
  size = tm.int { 400, min = 500, doc = "entries of the tokenizer" },
}
local vocab = tm.train_tokenizer { tm.read { "pages.txt" }, size = p.size }
return tm.graph { vocab = vocab }
