-- TM0114
return require("../../lua/tidemill")
