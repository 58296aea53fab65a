"""The commands of `taskchat`."""
