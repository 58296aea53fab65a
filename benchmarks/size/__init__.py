"""How reading grows with what there is to read."""
