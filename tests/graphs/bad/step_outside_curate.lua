-- SPDX-License-Identifier: Apache-2.0
local tm = require "tidemill"
local step = tm.gopher {}
local vocab = tm.train_tokenizer { step, size = 400 }
return tm.graph { vocab = vocab }
