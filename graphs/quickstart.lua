-- From a package of HTML documentation to an evaluated language model.
--
--   ./mill run graphs/quickstart.lua
--
-- Reads the pages where they are (a Debian package is an archive in an archive), curates them, learns a tokenizer,
-- pretrains a small Llama and judges every snapshot while training goes on.
local tm = require "tidemill"

local p = tm.params {
  corpus = tm.path { "../build/docs/postgresql-doc.deb", doc = "HTML pages: a folder, a glob or an archive" },
  steps  = tm.int { 1600, min = 10, doc = "updates of 1,024 tokens" },
  vocab  = tm.int { 2048, min = 300, doc = "entries of the tokenizer" },
  layers = tm.int { 4, min = 1 },
  width  = tm.int { 192, min = 32 },
  lr     = tm.number { 2e-3, min = 0, doc = "peak learning rate" },
}

local pages = tm.read { p.corpus, format = "html", match = "**/*.html" }

local clean = tm.curate { pages,
  tm.html_text {},
  tm.fix_unicode {},
  tm.language { keep = { "en" } },
  tm.gopher { without = { "punctuation" }, bounds = { "word_count=40.." } },   -- manuals have many headings and lists
  tm.repetition { bounds = { "duplicate_5grams=..0.30", "duplicate_6grams=..0.28", "duplicate_7grams=..0.26",
                             "duplicate_8grams=..0.24", "duplicate_9grams=..0.22", "duplicate_10grams=..0.20" } },
  tm.exact_dedup {},
  tm.fuzzy_dedup { threshold = 0.8 },
}

local docs  = tm.split { clean, valid = 0.03 }
local vocab = tm.train_tokenizer { docs.train, size = p.vocab }

local base = tm.pretrain {
  tm.llama { layers = p.layers, width = p.width, heads = 6, length = 512 },
  tokenizer = vocab, data = docs.train, valid = docs.valid,
  steps = p.steps, batch = 1024, length = 256, lr = p.lr, checkpoint_every = 400,
  valid_tokens = 16384,
  schedule = tm.wsd { warmup = 100, decay = 0.3 },
}

local curve = tm.evaluate { base:each {}, tasks = { text = tm.perplexity { docs.valid, length = 512 } } }
local model = tm.export { base, format = "hf", to = "../dist/quickstart" }

return tm.graph { clean = clean, docs = docs, vocab = vocab, base = base, curve = curve, model = model }
