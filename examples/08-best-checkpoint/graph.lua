-- Judge every snapshot while training goes on, take the best one, and let it pass only if it is good enough.
--
--   tidemill run graph.lua
--   tidemill inspect curve                         the numbers of every snapshot: the last one is not the best
--   tidemill run graph.lua --set bar=2             the gate fails, with the values, and nothing is exported
--   tidemill generate base@best --prompt "A stage"
--   tidemill get base@best my-model                at another place
--
-- The data are few and the model is trained for long, so that in the end it learns by heart: its loss on what it has not
-- seen falls, and rises again.
local tm = require "tidemill"

local p = tm.params { bar = tm.number { 6, doc = "loss on held-out pages, at most" } }

local docs  = tm.split { tm.cut { tm.read { "../../docs/*.md" }, size = 4000 }, valid = 0.2 }
local vocab = tm.train_tokenizer { docs.train, size = 600 }
local base  = tm.pretrain {
  tm.llama { layers = 2, width = 64, heads = 4, length = 128 },
  tokenizer = vocab, data = docs.train:take(5), valid = docs.valid,
  steps = 120, batch = 512, length = 128, lr = 1e-2, schedule = tm.wsd { warmup = 10 }, checkpoint_every = 20,
  keep = tm.keep { best = 1, last = 1 },             -- the bytes of the other snapshots are freed as training goes on
}

-- Every snapshot, as soon as it is there.
local curve = tm.evaluate { base:each {}, tasks = { text = tm.perplexity { docs.valid, length = 128 } } }

local best  = base:best "valid.loss"
local exam  = tm.evaluate { best, tasks = { text = tm.perplexity { docs.valid, length = 128 } } }
local good  = tm.gate { best, on = exam, require = "text.loss < " .. p.bar }

return tm.graph { base = base, curve = curve, exam = exam, good = good,
                  model = tm.export { good, format = "hf", to = "dist/best" } }
