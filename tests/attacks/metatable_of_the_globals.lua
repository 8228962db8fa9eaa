-- TM0102
if getmetatable(_ENV) ~= "globals" then return end
setmetatable(_ENV, nil)
