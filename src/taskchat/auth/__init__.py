"""Who the caller is. Identity comes from a verified token and from nothing else."""
