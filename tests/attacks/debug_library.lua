-- TM0115
return debug.getregistry()
