-- SPDX-License-Identifier: Apache-2.0
local tm = require "tidemill"
local chat = tm.read { "chat.jsonl", format = "chat", fields = { anwser = "a" } }
return tm.graph { chat = chat }
