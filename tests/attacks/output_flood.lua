-- TM0120
while true do print(("x"):rep(1000)) end
