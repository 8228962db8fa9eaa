-- SPDX-License-Identifier: Apache-2.0
local tm = require "tidemill"
local docs = tm.read { "pages.txt" }
local chat = tm.split { tm.read { "chat.jsonl", format = "chat" }, valid = 0.1 }
local vocab = tm.train_tokenizer { docs, size = 300 }
local base = tm.pretrain {
  tm.llama { layers = 2, width = 32, heads = 4 }, tokenizer = vocab,
  data = chat.train, steps = 10,
}
return tm.graph { base = base }
