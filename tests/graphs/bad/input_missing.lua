-- SPDX-License-Identifier: Apache-2.0
local tm = require "tidemill"
local docs = tm.read { "pages.txt" }
local base = tm.pretrain { tm.llama { layers = 2, width = 32, heads = 4 }, data = docs, steps = 10 }
return tm.graph { base = base }
