-- Any program as a stage: records go to it as lines of JSON, and what it answers goes on.
--
--   tidemill run graph.lua
--   tidemill inspect counted -n 3                  meta data that count.py put there
--   tidemill inspect sorted -n 3
--
-- Edit count.py and run again: it is beside the graph, so its content decides, like that of the graph file itself.
local tm = require "tidemill"

local lines = tm.read { "lines.jsonl", format = "jsonl" }

-- A line in, a line out. A record without an answer goes to counted.removed.
local counted = tm.exec { lines, program = { "python3", "count.py" } }

-- With io = "files" a program sees all records at once: {in} and {out} are paths. awk knows no JSON, but lines.
local sorted = tm.exec { counted, program = { "sort", "--output={out}", "{in}" }, io = "files" }
local words  = tm.exec { counted, program = { "awk", "-f", "words.awk", "-v", "out={out}", "{in}" }, io = "files",
                         gives = "folder", files = { "words.awk" } }

return tm.graph { counted = counted, sorted = sorted, words = words }
