-- From a folder of texts to a small language model.
--
--   tidemill run graph.lua                                     with the texts in samples/
--   tidemill run graph.lua --set texts=PATH --set steps=2000   with your own: a folder, a pattern or an archive
local tm = require "tidemill"

local p = tm.params {
  texts  = tm.path { "samples/*.txt", doc = "a file, a folder, a pattern or an archive" },
  vocab  = tm.int { 500, min = 300, doc = "entries of the tokenizer; 8192 suits 10 MB of text" },
  layers = tm.int { 2, min = 1 },
  width  = tm.int { 96, min = 32, doc = "a multiple of 8" },
  steps  = tm.int { 80, min = 10, doc = "updates of 1,024 tokens" },
}

-- What is left out, and by which rule, is in `tidemill inspect clean.removed`.
local clean = tm.curate { tm.cut { tm.read { p.texts } },  -- a book in one file becomes pieces of it
  tm.fix_unicode {},
  tm.gopher {},
  tm.exact_dedup {},
  tm.fuzzy_dedup {},
}
local docs  = tm.split { clean, valid = 0.2 }

local vocab = tm.train_tokenizer { docs.train, size = p.vocab }
local base  = tm.pretrain {
  tm.llama { layers = p.layers, width = p.width, heads = 4, length = 256 },
  tokenizer = vocab, data = docs.train, valid = docs.valid,
  steps = p.steps, batch = 1024, length = 256, lr = 1e-3, checkpoint_every = 20,
  schedule = tm.wsd { warmup = 8 },
}

-- Every snapshot is judged while training goes on.
local curve = tm.evaluate { base:each {}, tasks = { text = tm.perplexity { docs.valid, length = 256 } } }

return tm.graph {
  clean = clean, docs = docs, vocab = vocab, base = base, curve = curve,
  model = tm.export { base:best "valid.loss", format = "hf", to = "dist/model" },
}
