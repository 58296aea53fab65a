"""What the agent asks of its user: for approval of tool calls, or a question."""
