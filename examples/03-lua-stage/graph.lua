-- Stages of your own, in Lua: one that cuts pages into sections, one that sees several of them at a time.
--
--   tidemill run graph.lua
--   tidemill inspect sections -n 3
--   tidemill inspect sections.removed              what was left out, and why
--   tidemill inspect longest
--   tidemill describe graph.lua sections           a stage of a graph has help like any other
local tm = require "tidemill"

-- Called once for every page. What it emits goes on; a text that it returns is the reason for leaving the page out.
local sections = tm.stage {
  name = "sections",
  doc = "The sections of pages in Markdown, each a record.",
  options = { least = tm.int { 200, min = 0, doc = "bytes that a section has at least" } },
  each = function(doc, o, emit)
    local heading, lines, found = nil, {}, 0
    for line in (doc.text .. "\n## \n"):gmatch("(.-)\n") do
      if line:sub(1, 3) == "## " then
        local text = table.concat(lines, "\n")
        if heading and #text >= o.least then
          emit { text = text, meta = { heading = heading } }
          found = found + 1
        end
        heading, lines = line:sub(4), {}
      else
        lines[#lines + 1] = line
      end
    end
    if found == 0 then return "no section" end
  end,
}

-- Called with up to 100 records at once, so it can compare them: of each call the two longest go on.
local longest = tm.stage {
  name = "longest",
  batch_size = 100,
  batch = function(docs, o, emit)
    table.sort(docs, function(a, b) return #a.text > #b.text end)
    emit(docs[1])
    if docs[2] then emit(docs[2]) end
    return "shorter than others"
  end,
}

local pages = tm.read { "../../docs/*.md" }
local cut   = sections { pages, least = 300 }

return tm.graph { sections = cut, longest = longest { cut } }
