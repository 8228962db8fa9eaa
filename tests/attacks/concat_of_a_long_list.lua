-- TM0102
local t, x = {}, ("x"):rep(1000)
for i = 1, 100000 do t[i] = x end
return table.concat(t)
