local tm = require "tidemill"
local docs = tm.read { "pages.txt" }
return tm.graph { out = tm.exec { tm.train_tokenizer { docs, size = 300 }, program = { "ls", "{in}", "{out}" }, io = "files" } }
