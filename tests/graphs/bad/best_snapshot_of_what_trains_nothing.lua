-- SPDX-License-Identifier: Apache-2.0
local tm = require "tidemill"
local docs = tm.read { "pages.txt" }
local vocab = tm.train_tokenizer { docs, size = 400 }
local base = tm.pretrain { tm.llama { layers = 1, width = 32, heads = 4 }, tokenizer = vocab, data = docs, steps = 10 }
local small = tm.quantize { base, to = "int8" }
return tm.graph { out = tm.export { small:best "train.loss", format = "hf" } }
