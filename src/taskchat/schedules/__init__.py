"""Messages of a user's that are said at a time, or again and again by a rule."""
