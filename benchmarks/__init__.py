"""What a turn costs, beside the leanest turn that can be written. `make bench`; see README.md."""
