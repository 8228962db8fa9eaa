local tm = require "tidemill"
local docs = tm.read { "pages.txt" }
local shout = tm.stage { name = "shout", each = function(doc, o, emit) emit(doc) end }
return tm.graph { loud = shout { tm.train_tokenizer { docs, size = 300 } } }
