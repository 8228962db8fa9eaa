-- A model that was not made here: judge it, make it smaller, judge that, write it for other programs, talk to it.
--
--   tidemill run make.lua                          once: makes dist/downloaded, which stands for a downloaded model
--   tidemill run graph.lua
--   tidemill run graph.lua --set model=PATH        a Hugging Face folder, a GGUF file, or an archive with one of them
--   tidemill inspect exam                          what rounding the weights costs
--   tidemill chat small                            one line is one turn; Ctrl-D ends it
--   tidemill generate dist/gguf/model.gguf --prompt "A stage"      files are models, too
--
-- Llama, Mistral, Qwen2 and Qwen3 are read. Nothing is downloaded: huggingface-cli download OWNER/NAME --local-dir PATH does it.
local tm = require "tidemill"

local p = tm.params { model = tm.path { "dist/downloaded", doc = "the model" } }

local model = tm.model { p.model }
local small = tm.quantize { model, to = "int8" }
local tiny  = tm.quantize { model, to = "int4" }
local text  = tm.read { "../../docs/*.md" }

local exam  = tm.evaluate { { given = model, int8 = small, int4 = tiny },
                            tasks = { text = tm.perplexity { text:take(3), length = 128 } } }

return tm.graph {
  model = model, small = small, tiny = tiny, exam = exam,
  gguf   = tm.export { model, format = "gguf", dtype = "q8_0", to = "dist/gguf" },      -- llama.cpp
  trtllm = tm.export { small, format = "trtllm", to = "dist/trtllm" },                  -- TensorRT-LLM
  hf     = tm.export { small, format = "hf", to = "dist/int8" },                        -- transformers
}
