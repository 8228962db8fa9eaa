-- TM0120:2
::top:: goto top
