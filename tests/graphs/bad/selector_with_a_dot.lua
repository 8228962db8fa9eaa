-- SPDX-License-Identifier: Apache-2.0
local tm = require "tidemill"
local docs = tm.read { "pages.txt" }
local vocab = tm.train_tokenizer { docs.take(100), size = 400 }
return tm.graph { vocab = vocab }
