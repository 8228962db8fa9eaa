-- SPDX-License-Identifier: Apache-2.0
local tm = require "tidemill"
local docs = tm.split { tm.read { "pages.txt" }, valid = 0.02 }
local vocab = tm.train_tokenizer { docs.learning, size = 400 }
return tm.graph { vocab = vocab }
