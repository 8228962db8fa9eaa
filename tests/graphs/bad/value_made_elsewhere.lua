-- SPDX-License-Identifier: Apache-2.0
local tm = require "tidemill"
local shape = tm.llama { layers = 2, widht = 32, heads = 4 }
local docs = tm.read { "pages.txt" }
local vocab = tm.train_tokenizer { docs, size = 400 }
local base = tm.pretrain { shape, tokenizer = vocab, data = docs, steps = 10 }
return tm.graph { base = base }
