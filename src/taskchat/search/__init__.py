"""Searching what a user said, was told and has to do, by words and by meaning."""
