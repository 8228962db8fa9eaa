-- From text files to a small language model: read, clean, learn a tokenizer, train, judge.
--
--   tidemill run graph.lua
--   tidemill inspect exam                          the numbers
--   tidemill generate base --prompt "A stage" -t 0.7      what it learned to write
--
-- The documents are the pages of this project's manual. Give other ones with --set docs='PATH/*.txt'.
local tm = require "tidemill"

local p = tm.params {
  docs  = tm.path { "../../docs/*.md", doc = "text files" },
  steps = tm.int { 150, min = 1, doc = "updates of 1,024 tokens" },
}

-- What is on the right of `=` is a node. It does nothing yet: a graph file only says what is to be done.
local pages = tm.read { p.docs }
local clean = tm.curate { pages, tm.fix_unicode {}, tm.exact_dedup {} }
local docs  = tm.split { tm.cut { clean, size = 4000 }, valid = 0.1 }   -- docs.train, docs.valid
local vocab = tm.train_tokenizer { docs.train, size = 1024 }

local base  = tm.pretrain {
  tm.llama { layers = 2, width = 64, heads = 4, length = 256 },
  tokenizer = vocab, data = docs.train, valid = docs.valid,
  steps = p.steps, batch = 1024, length = 128, lr = 5e-3, checkpoint_every = 50,
  schedule = tm.wsd { warmup = 10, decay = 0.3 },
}
local exam  = tm.evaluate { base, tasks = { text = tm.perplexity { docs.valid } } }

-- The names by which the command line speaks of them.
return tm.graph { clean = clean, docs = docs, vocab = vocab, base = base, exam = exam }
