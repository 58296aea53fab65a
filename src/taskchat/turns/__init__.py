"""One chat turn. The user's message outlives any failure."""
