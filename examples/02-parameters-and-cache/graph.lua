-- Parameters, and what runs again after a change: nothing that could come out otherwise is reused, and nothing else runs.
--
--   tidemill run graph.lua
--   tidemill run graph.lua                         all of it is cached
--   tidemill plan graph.lua --set steps=60         what a change would mean: base goes on from step 30,
--                                                  where its learning rate began to fall
--   tidemill plan graph.lua --set least=600        short pages go, and what they reach runs again
--   tidemill run graph.lua --set steps=60
--   tidemill why base                              why it ran, or did not
--
-- Then edit this file: a comment, another layout, another name for a local variable. `plan` says that nothing is to be done.
local tm = require "tidemill"

local p = tm.params {
  least = tm.int { 20, min = 0, doc = "words that a document has at least" },
  steps = tm.int { 40, min = 1, doc = "updates of 512 tokens" },
}

local long_enough = tm.stage {
  name = "long_enough",
  options = { least = tm.int { 0, min = 0 } },
  each = function(doc, o, emit)
    local _, words = doc.text:gsub("%S+", "")
    if words < o.least then return "short" end
    emit(doc)
  end,
}

local docs  = long_enough { tm.read { "../../docs/*.md" }, least = p.least }
local vocab = tm.train_tokenizer { docs, size = 512 }
local base  = tm.pretrain { tm.llama { layers = 1, width = 32, heads = 2, length = 128 }, tokenizer = vocab, data = docs,
                            steps = p.steps, batch = 512, length = 128, lr = 5e-3,
                            schedule = tm.wsd { warmup = 5, decay = 0.25 } }

return tm.graph { docs = docs, vocab = vocab, base = base }
