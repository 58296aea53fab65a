"""Logs, and later metrics and traces. Never a message's text, never a token."""
