"""Housekeeping: what is past its time goes, one process at a time, in nobody's way."""
