"""What is particular to a language, as data: one module for each. Knows no other room."""
