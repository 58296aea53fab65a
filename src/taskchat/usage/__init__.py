"""What models were asked, and what that cost."""
