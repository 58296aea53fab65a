"""The WebSocket: frames, sessions, places."""
