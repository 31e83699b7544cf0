raw 81ff7fffffffffffffff00000000 
raw <<78*300000>>
