"""A turn beside the leanest one that can be written. `make bench`."""
