"""A turn in long conversations, in full tables, among many others. `make bench-growth`."""
