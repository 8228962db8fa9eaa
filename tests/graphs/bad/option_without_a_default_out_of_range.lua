-- SPDX-License-Identifier: Apache-2.0
local tm = require "tidemill"
local docs = tm.split { tm.read { "pages.txt" }, valid = 0.5 }
local vocab = tm.train_tokenizer { docs.train, size = 300 }
local base = tm.pretrain { tm.llama { layers = 1, width = 8, heads = 1 }, tokenizer = vocab, data = docs.train, lr = 1e4, steps = 2 }
return tm.graph { base = base }
