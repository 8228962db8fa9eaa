-- SPDX-License-Identifier: Apache-2.0
local tm = require "tidemill"
local docs = tm.read { "pages.txt" }
local vocab = tm.train_tokenizer { docs, size = 400 }
local again = tm.train_tokenizer { vocab, size = 300 }
return tm.graph { again = again }
