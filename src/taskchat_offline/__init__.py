"""A small learned model of what people say to a to-do list. Knows no other package of ours."""
