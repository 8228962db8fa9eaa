-- TM0120:2
while true do end
