"""Links by which anybody may read a conversation as it was when the link was made."""
