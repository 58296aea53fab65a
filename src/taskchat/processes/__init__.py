"""Which processes live, and which of them may be taken for dead."""
