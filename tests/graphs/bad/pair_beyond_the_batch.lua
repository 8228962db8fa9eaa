-- SPDX-License-Identifier: Apache-2.0
local tm = require "tidemill"
local docs = tm.read { "pages.txt" }
local vocab = tm.train_tokenizer { docs, size = 400 }
local base = tm.pretrain { tm.llama { layers = 2, width = 32, heads = 4 }, tokenizer = vocab, data = docs, steps = 10 }
local dpo = tm.dpo { base, data = tm.read { "chat.jsonl", format = "preference" }, batch = 512, length = 512 }
return tm.graph { dpo = dpo }
