"""The agent. The only folder that imports `agents`."""
