-- TM0120
xpcall(error, function() while true do end end)
