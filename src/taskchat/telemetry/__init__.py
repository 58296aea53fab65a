"""Logs, metrics and traces. Never a message's text, never a token."""
