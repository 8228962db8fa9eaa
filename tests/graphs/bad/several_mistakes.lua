-- SPDX-License-Identifier: Apache-2.0
local tm = require "tidemill"
local docs = tm.split { tm.read { "pages.txt", mach = "*" }, valid = 2 }
local vocab = tm.train_tokenizer { docs.train, size = 100 }
return tm.graph { vocab = vocab }
