-- SPDX-License-Identifier: Apache-2.0
local tm = require "tidemill"
local docs = tm.read { "pages.txt" }
local vocab = tm.train_tokenizer { docs, size = 400 }
local base = tm.pretrain { tm.llama { layers = 2, width = 32, heads = 4 }, tokenizer = vocab, data = docs, steps = 10 }
local chat = tm.read { "chat.jsonl", format = "chat" }
local tuned = tm.sft { base, data = chat, adapter = tm.lora { rank = 4 } }
local again = tm.sft { tuned, data = chat, adapter = tm.lora { rank = 8 } }
return tm.graph { again = again }
