"""The AI SDK's UI message stream: the same turns for front ends that are built on `useChat`."""
