-- SPDX-License-Identifier: Apache-2.0
local tm = require "tidemill"
local pages = tm.read { "pages.txt", format = "html" }
local texts = tm.read { "pages.txt" }
local all = tm.concat { { pages = pages, texts = texts } }
return tm.graph { all = all }
