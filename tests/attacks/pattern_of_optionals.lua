-- TM0120:3
local a = ("a"):rep(40)
print(a:find(("a?"):rep(40) .. a))
