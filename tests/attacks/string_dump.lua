-- TM0102
return string.dump(function() end)
