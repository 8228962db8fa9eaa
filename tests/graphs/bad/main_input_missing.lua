-- SPDX-License-Identifier: Apache-2.0
local tm = require "tidemill"
local vocab = tm.train_tokenizer { size = 400 }
return tm.graph { vocab = vocab }
