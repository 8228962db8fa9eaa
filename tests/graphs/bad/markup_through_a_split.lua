-- SPDX-License-Identifier: Apache-2.0
local tm = require "tidemill"
local docs = tm.split { tm.read { "pages.txt", format = "html" }, valid = 0.1 }
local vocab = tm.train_tokenizer { tm.read { "pages.txt" }, size = 300 }
local base = tm.pretrain {
  tm.llama { layers = 2, width = 32, heads = 4 }, tokenizer = vocab,
  data = docs.train, steps = 10,
}
return tm.graph { base = base }
