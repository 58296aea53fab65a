"""What the service asks of tables with millions of turns. `make bench-scale`."""
