"""One conversation: who talks when, what is said, what was heard of it."""
