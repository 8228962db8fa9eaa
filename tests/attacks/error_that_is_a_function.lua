-- TM0102:2
error(function() end)
