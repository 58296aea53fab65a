"""A user's data as a whole: taking it along, bringing it in, and deleting it."""
