"""How much a user may ask for in a minute."""
