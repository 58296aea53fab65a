"""SQL of webhooks: what users do with them, what the sender does, and what housekeeping does."""
