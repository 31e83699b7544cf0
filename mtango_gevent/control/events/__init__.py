"""Events of Tango, and the clients that listen to them."""
