"""A stateless chat API for a to-do list: all state is in Postgres."""

__version__ = "0.1.0"
"""Version of the package and of the API description."""
