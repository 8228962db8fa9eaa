-- TM0120
local function stubborn()
  return setmetatable({}, { __close = function() while true do end end })
end
while true do
  pcall(function()
    local a <close> = stubborn()
    local b <close> = stubborn()
    error("out")
  end)
end
