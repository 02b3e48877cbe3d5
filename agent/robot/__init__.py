"""A robot in a conversation: what is asked of it, what it reports."""
