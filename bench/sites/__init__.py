"""A day of conversations over several sites: where they are answered, and what that costs."""
