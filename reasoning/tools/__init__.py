"""Tools: their descriptions, and calls under a grammar."""
