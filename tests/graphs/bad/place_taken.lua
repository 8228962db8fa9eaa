-- SPDX-License-Identifier: Apache-2.0
local tm = require "tidemill"
local vocab = tm.train_tokenizer { tm.read { "pages.txt" }, size = 300 }
local base = tm.pretrain { tm.llama { layers = 1, width = 32, heads = 2 }, tokenizer = vocab,
                           data = tm.read { "pages.txt" }, steps = 1 }
local one = tm.export { base, to = "dist/model" }
local two = tm.export { base:at(1), to = "dist/model" }
return tm.graph { one = one, two = two }
