-- TM0120
print(setmetatable({}, { __tostring = function() while true do end end }))
