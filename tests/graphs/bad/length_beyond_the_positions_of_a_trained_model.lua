-- SPDX-License-Identifier: Apache-2.0
local tm = require "tidemill"
local docs = tm.split { tm.read { "pages.txt" }, valid = 0.5 }
local vocab = tm.train_tokenizer { docs.train, size = 400 }
local chat = tm.read { "chat.jsonl", format = "chat" }
local base = tm.pretrain { tm.llama { layers = 1, width = 32, heads = 4, length = 256 }, tokenizer = vocab, data = docs.train }
local fits = tm.sft { base, data = chat, adapter = tm.lora {} }
local wide = tm.sft { tm.merge { fits }, data = chat, length = 512 }
return tm.graph { fits = fits, wide = wide }
