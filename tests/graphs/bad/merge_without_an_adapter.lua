local tm = require "tidemill"
local docs = tm.read { "pages.txt" }
local vocab = tm.train_tokenizer { docs, size = 300 }
local base = tm.pretrain { tm.llama { layers = 2, width = 32, heads = 2 }, tokenizer = vocab, data = docs, steps = 5 }
return tm.graph { merged = tm.merge { base } }
