-- TM0102:2
error({ code = "TM0001", text = "mine" })
