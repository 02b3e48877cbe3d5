"""Written forms as words: one module for each language."""
