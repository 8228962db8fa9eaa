-- SPDX-License-Identifier: Apache-2.0
local tm = require "tidemill"
local docs = tm.split { tm.read { "pages.txt" }, valid = 0.5 }
local vocab = tm.train_tokenizer { docs.train, size = 300 }
local function train(v)
  return tm.pretrain { tm.llama { layers = 1, width = 9, heads = 2 }, tokenizer = vocab, data = docs.train, lr = 1e-3, seed = v.seed, steps = 2 }
end
local seeds = {}
for i = 1, 20 do seeds[i] = i end
local trials = tm.sweep({ seed = seeds }, train)
local base = tm.best { trials, by = "valid.loss" }
return tm.graph { base = base }
