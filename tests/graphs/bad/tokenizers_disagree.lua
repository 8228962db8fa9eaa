-- SPDX-License-Identifier: Apache-2.0
local tm = require "tidemill"
local docs = tm.read { "pages.txt" }
local small = tm.train_tokenizer { docs, size = 300 }
local large = tm.train_tokenizer { docs, size = 400 }
local tokens = tm.tokenize { docs, tokenizer = small }
local base = tm.pretrain {
  tm.llama { layers = 2, width = 32, heads = 4 },
  tokenizer = large, data = tokens, steps = 10,
}
return tm.graph { base = base }
