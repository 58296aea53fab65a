"""The one door to the database, and what stands behind it."""
