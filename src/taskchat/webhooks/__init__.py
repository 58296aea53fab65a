"""Telling others over HTTP what has become true: at least once, in order, in nobody's way."""
