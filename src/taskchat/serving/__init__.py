"""Uvicorn with safe defaults. Nothing else imports it."""
