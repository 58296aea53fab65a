"""Uvicorn, with its defaults mended: the only home of it."""
