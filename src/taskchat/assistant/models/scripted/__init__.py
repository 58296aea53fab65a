"""The scripted model: it says and calls what a script says, for the tests of others."""
