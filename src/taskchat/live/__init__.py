"""Events of turns, as they happen: over SSE and WebSocket, from the same rows."""
