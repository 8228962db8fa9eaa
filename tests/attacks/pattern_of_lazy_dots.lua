-- TM0120:2
print((("x"):rep(5000)):match(".-.-.-.-.-b"))
