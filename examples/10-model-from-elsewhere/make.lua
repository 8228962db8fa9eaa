-- A small model as a folder, for graph.lua to find: it stands for one that you downloaded.
--
--   tidemill run make.lua
local tm = require "tidemill"

local docs  = tm.read { "../../docs/*.md" }
local vocab = tm.train_tokenizer { docs, size = 600 }
local base  = tm.pretrain { tm.llama { layers = 2, width = 64, heads = 4, length = 128 }, tokenizer = vocab, data = docs,
                            steps = 60, batch = 1024, length = 128, lr = 5e-3, schedule = tm.wsd { warmup = 10 } }

return tm.graph { model = tm.export { base, format = "hf", to = "dist/downloaded" } }
