-- Word problems: a small model learns to solve them step by step, then to prefer right solutions to wrong ones.
--
--   ./mill run graphs/math.lua                                         problems are made up
--   ./mill run graphs/math.lua --set problems=train.jsonl              lines of {"question", "answer"}, as GSM8K has them
--   ./mill run graphs/math.lua --set model=../build/models/smollm2.whl from a given model, not from scratch
local tm = require "tidemill"

local p = tm.params {
  problems = tm.string { "", doc = "JSON lines with question and answer (\"... #### 7\"); empty: made up" },
  model    = tm.string { "", doc = "a model to start from; empty: from scratch" },
  count    = tm.int { 6000, min = 100, doc = "problems to make up" },
  steps    = tm.int { 500, min = 10, doc = "updates of pretraining from scratch" },
  epochs   = tm.int { 3, min = 1, doc = "of SFT" },
  judged   = tm.int { 200, min = 10, doc = "held-out problems" },
}

-- Problems of one or two steps with numbers up to 20, for the people of a list.
local make = tm.stage { name = "make", takes = "documents", gives = "chat",
  options = { count = tm.int { 1000, min = 1 } },
  each = function(doc, o, emit)
    local people, things = {}, { "apples", "books", "coins", "eggs", "pens", "stamps", "cards", "nuts" }
    for name in doc.text:gmatch("%a+") do people[#people + 1] = name end
    local function pick(list) return list[math.random(#list)] end
    for _ = 1, o.count do
      local who, what, a, b = pick(people), pick(things), math.random(2, 20), math.random(2, 20)
      local question, steps = who .. " has " .. a .. " " .. what .. ". ", ""
      local sum = a + b
      question = question .. who .. " gets " .. b .. " more. "
      steps = a .. " + " .. b .. " = " .. sum .. ". "
      if math.random(2) == 1 then
        local c = math.random(1, sum - 1)
        question = question .. "Then " .. who .. " gives away " .. c .. ". "
        steps = steps .. sum .. " - " .. c .. " = " .. (sum - c) .. ". "
        sum = sum - c
      end
      emit { messages = { { role = "user", content = question .. "How many " .. what .. " does " .. who .. " have?" },
                          { role = "assistant", content = steps .. "#### " .. sum } } }
    end
  end }

-- A wrong solution is the right one with another number at its end.
local spoil = tm.stage { name = "spoil", takes = "chat", gives = "preference",
  each = function(doc, o, emit)
    local question, answer = doc.messages[1], doc.messages[#doc.messages].content
    local steps, number = answer:match("^(.-)(%-?%d+)%s*$")
    if not number then return "the answer does not end in a number" end
    local off = math.random(3) * (math.random(2) * 2 - 3)
    emit { prompt = { question }, chosen = { { role = "assistant", content = answer } },
           rejected = { { role = "assistant", content = steps .. math.tointeger(number) + off } } }
  end }

local plain = tm.stage { name = "plain", takes = "chat", gives = "documents",
  each = function(doc, o, emit) emit { text = doc.messages[1].content .. "\n" .. doc.messages[2].content } end }

local all = p.problems ~= "" and tm.read { p.problems, format = "instruction" }
            or make { tm.read { "people.txt" }, count = p.count }
local problems = tm.split { all, valid = 0.1 }
local prefs = tm.split { spoil { all }, valid = 0.1 }

local base
if p.model ~= "" then
  base = tm.model { p.model }
else
  local texts = plain { problems.train }
  base = tm.pretrain { tm.llama { layers = 4, width = 128, heads = 4, length = 512 },
                       tokenizer = tm.train_tokenizer { texts, size = 600 }, data = texts,
                       steps = p.steps, batch = 2048, length = 256, lr = 3e-3 }
end

local solver  = tm.sft { base, data = problems.train, valid = problems.valid, epochs = p.epochs, batch = 2048, length = 512,
                         lr = p.model == "" and 1e-3 or 2e-4,
                         schedule = tm.wsd { warmup = p.model == "" and 20 or 4, decay = 0.3 },
                         adapter = p.model ~= "" and tm.lora { rank = 16 } or nil }
local careful = tm.dpo { solver, data = prefs.train:take(1000), valid = prefs.valid:take(200), beta = 0.1, batch = 4096,
                         length = 512, lr = 2e-5, schedule = tm.wsd { warmup = 5, decay = 0.5 } }

local exam = tm.evaluate { { base = base, sft = solver, dpo = careful },
  tasks = { right = tm.exact_match { problems.valid:take(p.judged), part = "gsm8k", tokens = 100 },
            pref = tm.preference { prefs.valid:take(p.judged) } } }

return tm.graph { problems = problems, prefs = prefs, base = base, solver = solver, careful = careful, exam = exam }
