"""Chat threads and what is read from them."""
