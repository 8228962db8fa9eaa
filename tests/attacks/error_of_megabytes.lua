-- TM0102
error(("x"):rep(10000000))
