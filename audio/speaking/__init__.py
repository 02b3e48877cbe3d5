"""Words in, sound out, and what was really heard of it."""
