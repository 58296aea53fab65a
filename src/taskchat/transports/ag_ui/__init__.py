"""AG-UI: a turn as front ends of that protocol read it."""
