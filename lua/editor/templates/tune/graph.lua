-- A model of your own choice learns to answer like a file of examples.
--
--   tidemill run graph.lua --set model=PATH                        with the questions in chat.jsonl
--   tidemill run graph.lua --set model=PATH --set chats=MINE.jsonl
--
-- PATH is a Hugging Face folder, a GGUF file or an archive with one of these. A line of the examples is
-- {"messages": [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]}
-- or {"prompt": "...", "completion": "..."}.
local tm = require "tidemill"

local p = tm.params {
  model  = tm.path { doc = "the model to start from: a folder, a GGUF file or an archive" },
  chats  = tm.path { "chat.jsonl", doc = "JSON lines: conversations" },
  epochs = tm.int { 4, min = 1, doc = "how often the examples are gone through" },
  length = tm.int { 256, min = 32, doc = "tokens; longer conversations are left out" },
  rank   = tm.int { 16, min = 1, doc = "of the adapter: what is learned has this many directions a layer" },
}

local given = tm.model { p.model }
local chats = tm.split { tm.read { p.chats, format = "chat" }, valid = 0.2 }

local tuned = tm.sft {
  given, data = chats.train, valid = chats.valid, adapter = tm.lora { rank = p.rank, alpha = 2 * p.rank },
  epochs = p.epochs, batch = 512, length = p.length, lr = 5e-4, schedule = tm.wsd { warmup = 2, decay = 0.5 },
}
local final = tm.merge { tuned:best "valid.loss" }

-- Both models on conversations that neither has learned from.
local exam = tm.evaluate { { before = given, after = final }, tasks = { answers = tm.answers { chats.valid } } }

return tm.graph {
  given = given, chats = chats, tuned = tuned, final = final, exam = exam,
  model = tm.export { final, format = "hf", to = "dist/tuned" },
}
