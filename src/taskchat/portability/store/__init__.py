"""SQL of a user's data as a whole. Every statement names the owner."""
