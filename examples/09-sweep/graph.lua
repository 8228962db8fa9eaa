-- Try combinations, see them side by side, take the best.
--
--   tidemill run graph.lua
--   tidemill inspect table                         all points
--   tidemill inspect winner
--   tidemill run graph.lua 'trials/lr=0.01,seed=1,width=32'    one point alone
--   tidemill plan graph.lua --set rates=three      one rate more: what is there stays
--
-- Every point is trained with two seeds, and what counts is the mean: a difference that is smaller than its error is none.
local tm = require "tidemill"

local p = tm.params { rates = tm.choice { "two", choices = { "two", "three" } } }

local docs  = tm.split { tm.cut { tm.read { "../../docs/*.md" }, size = 4000 }, valid = 0.15 }
local vocab = tm.train_tokenizer { docs.train, size = 400 }

local trials = tm.sweep({ lr = p.rates == "two" and { 3e-4, 1e-2 } or { 3e-4, 3e-3, 1e-2 }, width = { 16, 32 }, seed = { 1, 2 } },
  function(v)
    return tm.pretrain { tm.llama { layers = 1, width = v.width, heads = 2, length = 128 }, tokenizer = vocab,
                         data = docs.train, valid = docs.valid, steps = 25, batch = 512, length = 64, lr = v.lr, seed = v.seed,
                         schedule = tm.wsd { warmup = 3, decay = 0.3 } }
  end)

return tm.graph {
  trials = trials,
  table  = tm.compare { trials, by = { "valid.loss", "train.loss" }, over = "seed" },
  winner = tm.best { trials, by = "valid.loss", over = "seed" },
}
