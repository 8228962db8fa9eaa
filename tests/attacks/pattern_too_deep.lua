-- TM0102:2
print(("x"):rep(1000):find(("x?"):rep(300) .. ("(x)"):rep(20)))
