-- Copies and near copies: what goes, and of what it is a copy.
--
--   tidemill run graph.lua
--   tidemill inspect clean                         one of each
--   tidemill inspect clean.removed                 what went; meta.removed says why, meta.of which one it is like
--   tidemill inspect clean/exact_dedup.removed     what one step removed
--   tidemill plan graph.lua --set threshold=0.7    only what the threshold reaches runs again
--
-- pages.jsonl has four pages, two copies byte for byte, two with words changed (one of which is like enough only at 0.7), and a
-- part of another page, which stays.
local tm = require "tidemill"

local p = tm.params { threshold = tm.number { 0.8, min = 0, max = 1, doc = "likeness from which pages are the same" } }

local pages = tm.read { "pages.jsonl", format = "jsonl" }
local clean = tm.curate { pages, tm.exact_dedup {}, tm.fuzzy_dedup { threshold = p.threshold } }

-- Several sources are put together first: then a page of one that is in the other goes too.
local both  = tm.curate { tm.concat { { one = clean, two = pages } }, tm.exact_dedup {} }

return tm.graph { clean = clean, both = both }
