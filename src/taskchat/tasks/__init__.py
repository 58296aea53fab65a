"""The to-do list: one set of rules for the tools and for the REST routes."""
