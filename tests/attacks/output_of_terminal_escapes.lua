-- TM0102
print("\27[2J\27]0;title\7") error("held \27[31m \xc2\x9b")
