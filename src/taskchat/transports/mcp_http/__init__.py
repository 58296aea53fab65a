"""`/mcp`: the task tools for MCP clients from outside, over streamable HTTP without sessions."""
