"""Hears a command to stop ahead of any transcript: by short decodes, and by the sound of the word."""
