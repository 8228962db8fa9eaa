-- SPDX-License-Identifier: Apache-2.0
local tm = require "tidemill"
local docs = tm.split { tm.read { "pages.txt" }, valid = 0.5 }
local vocab = tm.train_tokenizer { docs.train, size = 300 }
local function train(v)
  local model = tm.pretrain { tm.llama { layers = 1, width = 8, heads = 1 }, tokenizer = vocab, data = docs.train, lr = v.lr, steps = 2 }
  return { model = model, text = tm.evaluate { model, tasks = { text = tm.perplexity { docs.valid } } } }
end
local trials = tm.sweep({ lr = { 1e-3, 1e-4 } }, train)
local base = tm.best { trials, by = "bits_per_byte" }
return tm.graph { base = base }
