-- SPDX-License-Identifier: Apache-2.0
local tm = require "tidemill"
local chat = tm.read { "chat.jsonl", format = "chat" }
local all = tm.concat { { chat, tm.read { "pages.txt" } } }
return tm.graph { all = all }
