-- TM0102
local t = {}
for i = 1, 20000 do t[i] = i * 7919 % 20011 end
table.sort(t, function() return true end)
error("held: it ended")
