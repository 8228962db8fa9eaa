-- TM0105
local tm = require "tidemill"
local ok, e = pcall(function() return tm.nothing end)
if type(e) == "table" then
  e.text, e.file, e.line, e.hint = function() end, { "x" }, "many", print
  e.text, e.file, e.line = nil, nil, nil
end
error(e)
