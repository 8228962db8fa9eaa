local tm = require "tidemill"
local vocab = tm.train_tokenizer { "pages.txt", size = 400 }
local tuned = tm.sft { "model", data = "pages.txt" }
return tm.graph { vocab = vocab, tuned = tuned }
