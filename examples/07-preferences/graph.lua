-- Preferences: of two answers the model learns to give the better one (DPO).
--
--   tidemill run graph.lua
--   tidemill inspect aligned.metrics                    loss, rewards, and how often the chosen answer has the larger one
--   tidemill plan graph.lua --set beta=0.5              the reference's log-probabilities are cached: only aligned runs
--   tidemill run graph.lua --set beta=0.5
--   tidemill chat aligned --vs tuned
--
-- A line of pairs.jsonl: {"prompt": "...", "chosen": "...", "rejected": "..."}. Here the chosen answers are short and sure, the
-- rejected ones hedge.
local tm = require "tidemill"

local p = tm.params {
  pairs = tm.path { "pairs.jsonl", doc = "preferences" },
  beta  = tm.number { 0.1, min = 0.001, doc = "a larger one stays closer to the model it began as" },
}

local prefs = tm.split { tm.read { p.pairs, format = "preference" }, valid = 0.25 }

-- A model that has seen both kinds of answers, so that it has something to choose between.
local both = tm.stage { name = "both", takes = "preference", gives = "chat",
  each = function(doc, o, emit)
    emit { messages = { doc.prompt[1], doc.chosen[1] } }
    emit { messages = { doc.prompt[1], doc.rejected[1] } }
  end }
local docs  = tm.read { "../../docs/*.md" }
local vocab = tm.train_tokenizer { docs, size = 600 }
local base  = tm.pretrain { tm.llama { layers = 2, width = 48, heads = 4, length = 128 }, tokenizer = vocab, data = docs,
                            steps = 40, batch = 1024, length = 128, lr = 5e-3, schedule = tm.wsd { warmup = 10 } }
local tuned = tm.sft { base, data = both { prefs.train }, epochs = 8, batch = 1024, length = 128, lr = 5e-3,
                       schedule = tm.wsd { warmup = 5 } }

-- The reference is `tuned`. What it thinks of the pairs is computed once, and kept whatever beta is.
local aligned = tm.dpo { tuned, data = prefs.train, valid = prefs.valid, beta = p.beta, epochs = 4, batch = 1024, length = 128,
                         lr = 1e-3, schedule = tm.wsd { warmup = 3 } }

local exam = tm.evaluate { { before = tuned, after = aligned },
                           tasks = { pref = tm.preference { prefs.valid, per_token = true } } }

return tm.graph { prefs = prefs, tuned = tuned, aligned = aligned, exam = exam }
