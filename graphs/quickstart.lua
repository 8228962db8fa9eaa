-- From a package of HTML documentation to a language model that answers.
--
--   ./mill run graphs/quickstart.lua
--
-- Reads the pages where they are (a Debian package is an archive in an archive), curates them, learns a tokenizer,
-- pretrains a small Llama and judges every snapshot while training goes on. Then it makes questions out of the pages,
-- tunes the model to answer them, aligns it to prefer right answers to wrong ones, and writes it for other programs.
local tm = require "tidemill"
local questions = require "questions"

local p = tm.params {
  corpus = tm.path { "../build/docs/postgresql-doc.deb", doc = "HTML pages: a folder, a glob or an archive" },
  steps  = tm.int { 1600, min = 10, doc = "updates of 1,024 tokens" },
  vocab  = tm.int { 2048, min = 300, doc = "entries of the tokenizer" },
  layers = tm.int { 4, min = 1 },
  width  = tm.int { 192, min = 32 },
  lr     = tm.number { 2e-3, min = 0, doc = "peak learning rate" },
  rank   = tm.int { 16, min = 1, doc = "of the adapter" },
}

-- Documents.

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

-- A model that goes on with a text.

local base = tm.pretrain {
  tm.llama { layers = p.layers, width = p.width, heads = 6, length = 512 },
  tokenizer = vocab, data = docs.train, valid = docs.valid,
  steps = p.steps, batch = 1024, length = 256, lr = p.lr, checkpoint_every = 400,
  valid_tokens = 16384,
  schedule = tm.wsd { warmup = 100, decay = 0.3 },
}
local curve = tm.evaluate { base:each {}, tasks = { text = tm.perplexity { docs.valid, length = 512 } } }

-- Questions, right answers and wrong ones, out of the same pages (see questions.lua).

local prefs = tm.split { questions.preferences { clean }, valid = 0.12 }
local chats = questions.conversations { prefs.train }
local held  = questions.conversations { prefs.valid }

-- A model that answers, and then one that prefers right answers.

local tuned   = tm.sft { base, data = chats, valid = held, adapter = tm.lora { rank = p.rank, alpha = 2 * p.rank },
                         epochs = 2, batch = 2048, length = 256, lr = 2e-3, schedule = tm.wsd { warmup = 10, decay = 0.5 } }
local aligned = tm.dpo { tuned, data = prefs.train, valid = prefs.valid, beta = 0.3,
                         batch = 4096, length = 256, lr = 4e-4, schedule = tm.wsd { warmup = 10, decay = 0.5 } }
local final   = tm.merge { aligned }
local small   = tm.quantize { final, to = "int8" }

local exam = tm.evaluate { { base = base, sft = tuned, dpo = final, int8 = small },
  tasks = { text = tm.perplexity { docs.valid, length = 512 },
            answers = tm.answers { held },
            pref = tm.preference { prefs.valid, per_token = true } } }

return tm.graph {
  clean = clean, docs = docs, vocab = vocab, base = base, curve = curve, prefs = prefs,
  tuned = tuned, aligned = aligned, final = final, small = small, exam = exam,
  model  = tm.export { final, format = "hf", to = "../dist/quickstart" },
  engine = tm.export { small, format = "trtllm", to = "../dist/quickstart-trtllm" },
}
