"""The chat page at `/`: it speaks the public API and nothing else, and needs no other host."""
