local tm = require "tidemill"
local docs = tm.split { tm.read { "pages.txt" }, valid = 0.5 }
local trials = tm.sweep({ size = { 300, 400 } }, function(v)
  return tm.pretrain { tm.llama { layers = 1, width = 8, heads = 1 }, tokenizer = tm.train_tokenizer { docs.train, size = v.size },
                       data = docs.train, steps = 2 }
end)
return tm.graph { base = tm.best { trials, by = "train.loss" } }
