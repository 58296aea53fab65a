"""Who is connected, and to which process."""
