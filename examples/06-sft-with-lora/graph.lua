-- Fine-tuning on your own conversations: an adapter (LoRA) is trained, the model below it stays as it is.
--
--   tidemill run graph.lua                              exam: how well it answers, before and after
--   tidemill run graph.lua --set chat=YOURS.jsonl
--   tidemill chat tuned                                 or: tidemill chat tuned --vs base
--   tidemill inspect tuned                              the adapter's files, its metrics
--   tidemill get tuned my-adapter                       as PEFT reads it
--
-- A line of chat.jsonl: {"messages": [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]}.
-- What the assistant says is learned, what the user says is not. docs/graphs.md has the other forms that are read. The model
-- here has a tenth of a million parameters and saw a few pages: it learns what an answer looks like, hardly what is true.
local tm = require "tidemill"

local p = tm.params {
  chat   = tm.path { "chat.jsonl", doc = "conversations" },
  epochs = tm.int { 40, min = 1, doc = "passes over them" },
  rank   = tm.int { 16, min = 1, doc = "of the adapter" },
}

-- A model to begin with. Yours is more likely one from elsewhere: local base = tm.model { "PATH" } (see 10).
local chat  = tm.split { tm.read { p.chat, format = "chat" }, valid = 0.15 }
local docs  = tm.read { "../../docs/*.md" }
local vocab = tm.train_tokenizer { docs, size = 600 }
local base  = tm.pretrain { tm.llama { layers = 2, width = 48, heads = 4, length = 128 }, tokenizer = vocab, data = docs,
                            steps = 60, batch = 1024, length = 128, lr = 5e-3, schedule = tm.wsd { warmup = 10 } }

local tuned = tm.sft { base, data = chat.train, valid = chat.valid, epochs = p.epochs, batch = 1024, length = 128, lr = 1e-2,
                       adapter = tm.lora { rank = p.rank, alpha = 2 * p.rank }, schedule = tm.wsd { warmup = 5 } }

local exam  = tm.evaluate { { before = base, after = tuned }, tasks = { answers = tm.answers { chat.valid } } }

return tm.graph { base = base, tuned = tuned, exam = exam }
