-- SPDX-License-Identifier: Apache-2.0
local tm = require "tidemill"
local docs = tm.split { tm.read { "pages.txt" }, valid = 0.5 }
return tm.graph { base = tm.pretrain { tm.llama { layers = 1, width = 32, heads = 4 }, tokenizer = docs, data = docs.train, steps = 10 } }
