-- TM0116
for k in pairs { [{}] = 1, [print] = 2 } do print(k) end
