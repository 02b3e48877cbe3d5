"""Written forms as the words that a reader would say, one grammar for each language. Pure."""
