"""How a blocking call of Tango is made."""
