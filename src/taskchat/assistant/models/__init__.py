"""The models: which, in what order, and what becomes of their answers."""
