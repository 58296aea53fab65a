"""Vectors of messages, by which a search compares meaning: made after a turn, in nobody's way."""
