-- SPDX-License-Identifier: Apache-2.0
local tm = require "tidemill"
local vocab = tm.train_tokenizer { tm.read { "pages.txt" }, size = 400.5 }
return tm.graph { vocab = vocab }
