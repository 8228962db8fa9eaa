-- SPDX-License-Identifier: Apache-2.0
local tm = require "tidemill"
local docs = tm.split { tm.read { "pages.txt" }, valid = 0.5 }
local vocab = tm.train_tokenizer { docs.train, size = 400 }
local base = tm.pretrain { tm.llama { layers = 1, width = 32, heads = 4 }, tokenizer = vocab, data = docs.train, steps = 10 }
return tm.graph { model = tm.export { base.best, format = "hf", to = "out/model" } }
