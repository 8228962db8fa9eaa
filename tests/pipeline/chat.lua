-- SPDX-License-Identifier: Apache-2.0
-- From lines of chat and preference data to an aligned model, for test_chat.py.
local tm = require "tidemill"

local docs  = tm.read { "text.txt" }
local chat  = tm.split { tm.read { "chat.jsonl", format = "chat", name = "lines" }, valid = 0.2 }
local prefs = tm.split { tm.read { "prefs.jsonl", format = "preference" }, valid = 0.2 }
local vocab = tm.train_tokenizer { docs, size = 400 }
local base  = tm.pretrain { tm.llama { layers = 2, width = 32, heads = 4 }, tokenizer = vocab, data = docs, steps = 4,
                            batch = 512, length = 128 }
local ids   = tm.tokenize_chat { chat.train, tokenizer = base.tokenizer, answers = "last" }
local tuned = tm.sft { base, data = ids, valid = chat.valid, epochs = 1, batch = 512, length = 128,
                       schedule = tm.wsd { warmup = 1 } }
local final = tm.dpo { tuned, data = prefs.train, epochs = 1, batch = 512, length = 128, schedule = tm.wsd { warmup = 1 } }

return tm.graph { chat = chat, base = base, ids = ids, tuned = tuned, final = final, vocab = final.tokenizer }
