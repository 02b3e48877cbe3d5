"""What differs between languages: how numbers are read and written, and other written forms. Knows no other room."""
