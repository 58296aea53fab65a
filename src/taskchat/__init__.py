"""A stateless chat API for a to-do list: all state is in Postgres."""
