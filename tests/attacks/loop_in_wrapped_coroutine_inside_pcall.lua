-- TM0120
for i = 1, 1e9 do
  pcall(coroutine.wrap(function() pcall(function() while true do end end) end))
end
