"""What is particular to a language: words that stop, and words that are taken for others."""
