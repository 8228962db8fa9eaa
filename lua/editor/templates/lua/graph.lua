-- Stages of your own, in Lua: one that leaves records out, one that changes them, one that makes several of one.
--
--   tidemill run graph.lua
--   tidemill describe graph.lua sentences      what a stage of this file takes
local tm = require "tidemill"

local p = tm.params {
  texts = tm.path { "samples/*.txt", doc = "a text a file: a folder, a pattern or an archive" },
}

-- Nothing emitted: the record goes to the port `removed`, with the text that is returned as the reason.
local about = tm.stage {
  name = "about",
  doc = "Texts in which one of some words occurs.",
  options = { words = tm.table { doc = "the words, in small letters" } },
  each = function(doc, o, emit)
    local text = doc.text:lower()
    for _, word in ipairs(o.words) do
      if text:find(word, 1, true) then return emit(doc) end
    end
    return "off topic"
  end,
}

-- Emitted once: the record is changed, and keeps its id.
local hide = tm.stage {
  name = "hide",
  doc = "Addresses of electronic mail are hidden.",
  options = { with = tm.string { "<address>", doc = "what stands in their place" } },
  each = function(doc, o, emit)
    local text, n = doc.text:gsub("[%w.+-]+@[%w-]+%.[%w.-]+", (o.with:gsub("%%", "%%%%")))
    emit { text = text, meta = { hidden = n } }
  end,
}

-- Emitted several times: several records of one.
local sentences = tm.stage {
  name = "sentences",
  doc = "A record for each sentence.",
  options = { shortest = tm.int { 20, min = 1, doc = "bytes; shorter ones are left out" } },
  each = function(doc, o, emit)
    for sentence in doc.text:gmatch("%u[^.?!]+[.?!]") do
      if #sentence >= o.shortest then emit { text = (sentence:gsub("%s+", " ")) } end
    end
  end,
}

local chosen = tm.curate { tm.read { p.texts }, about { words = { "mill", "tide", "water" } }, hide {} }
local lines  = sentences { chosen, shortest = 30 }

return tm.graph { chosen = chosen, lines = lines }
