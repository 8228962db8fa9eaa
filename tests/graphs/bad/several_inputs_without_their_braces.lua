-- SPDX-License-Identifier: Apache-2.0
local tm = require "tidemill"
local docs = tm.split { tm.read { "pages.txt" }, valid = 0.5 }
local vocab = tm.train_tokenizer { docs.train, size = 400 }
local llama = tm.llama { layers = 1, width = 32, heads = 4 }
return tm.graph { vocab = vocab, all = tm.concat { docs.train, docs.valid, docs.train } }
