local tm = require "tidemill"
local docs = tm.read { "pages.txt" }
local vocab = tm.train_tokenizer { docs, size = 300 }
local base = tm.pretrain { tm.llama { layers = 2, width = 32, heads = 2 }, tokenizer = vocab, data = docs, steps = 5 }
local tuned = tm.pretrain { base, tokenizer = vocab, data = docs, steps = 5,
                            adapter = tm.lora { targets = { "q_proj", "lm_head" } } }
return tm.graph { tuned = tuned }
