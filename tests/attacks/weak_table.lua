-- TM0117
return setmetatable({}, { __mode = "k" })
