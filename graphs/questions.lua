-- Questions, right answers and wrong ones, out of the pages of a manual: stages of their own, in Lua.
--
-- A heading is taken for a question, and what stands first under it for its answer.
local tm = require "tidemill"

-- Sentences that lean on the one before them answer no question.
local leaning = "This That These Those It They However But Also Otherwise Then Thus Therefore Similarly Instead Such " ..
                "Another Here There "

local function leans(sentence) return leaning:find(sentence:match("^%a+") .. " ", 1, true) ~= nil end

-- Paragraphs, and the sentences of a line of prose that are neither short nor long.
local function paragraphs(text)
  local all = {}
  for p in (text .. "\n\n"):gmatch("(.-)\n\n+") do all[#all + 1] = p end
  return all
end
local function sentences(paragraph)
  local all = {}
  if paragraph:find("\n", 1, true) then return all end
  for s in (paragraph:gsub("%. (%u)", ".\n%1") .. "\n"):gmatch("(.-)\n") do
    if #s >= 40 and #s <= 240 and s:find("^%u%l") and s:sub(-1) == "." then all[#all + 1] = s end
  end
  return all
end

-- The sentence whose length is nearest to `n` from above or from below, by turns: length tells nothing.
local function like(candidates, n, above)
  local best
  for _, s in ipairs(candidates) do
    local fits = above == (#s >= n)
    if fits and math.abs(#s - n) <= 60 and (not best or math.abs(#s - n) < math.abs(#best - n)) then best = s end
  end
  return best
end

-- What a page says first under a heading answers the question after it; a wrong answer is a sentence of the same page
-- that leans on what went before.
local preferences = tm.stage { name = "questions", gives = "preference",
  each = function(doc, o, emit)
    local text = paragraphs(doc.text)
    local title = text[1]:gsub("^[%u%d][%d.]*%.%s*", ""):sub(1, 60)
    local wrong, above = {}, #title % 2 == 0
    for _, p in ipairs(text) do
      for _, s in ipairs(sentences(p)) do if leans(s) then wrong[#wrong + 1] = s end end
    end
    for i = 1, #text - 1 do
      local heading = text[i]:gsub("^[%u%d][%d.]*%.%s*", "")
      local right = sentences(text[i + 1])[1]
      if heading:find("^%a[^\n]+$") and #heading < 64 and not heading:find("[.:;,]$") and right
         and text[i + 1]:sub(1, #right) == right and not leans(right) then
        local other = like(wrong, #right, above) or like(wrong, #right, not above)
        if other then
          above = not above
          emit { prompt = { { role = "user", content = title .. ": " .. heading .. "?" } },
                 chosen = { { role = "assistant", content = right } },
                 rejected = { { role = "assistant", content = other } } }
        end
      end
    end
  end }

-- The right answers alone, as conversations.
local conversations = tm.stage { name = "answered", takes = "preference", gives = "chat",
  each = function(doc, o, emit) emit { messages = { doc.prompt[1], doc.chosen[1] } } end }

return { preferences = preferences, conversations = conversations }
