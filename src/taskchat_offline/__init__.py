"""The built-in `offline` model: plain English to task tools, with no network and no state."""
