"""`/v1`: what clients of OpenAI's interfaces speak, as another form of the same turns."""
