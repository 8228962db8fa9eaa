-- TM0102
local s = (""):rep(math.maxinteger)
error("held: it ended")
