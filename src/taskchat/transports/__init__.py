"""Every way in to a turn."""
