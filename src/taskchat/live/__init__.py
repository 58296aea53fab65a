"""What happens in turns, told while it happens: over SSE and WebSocket, from the same rows."""
