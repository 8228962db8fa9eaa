-- TM0121
local keep, block = {}, ("x"):rep(1 << 20)
while true do
  pcall(function()
    while true do keep[#keep + 1] = block .. #keep end
  end)
end
