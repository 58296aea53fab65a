"""Ids that clients of other protocols choose: kept as they are, and known here by ids of ours."""
