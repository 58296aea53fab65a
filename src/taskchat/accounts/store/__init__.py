"""SQL of accounts. What is a user's names its owner; what comes before sees the row it seeks."""
