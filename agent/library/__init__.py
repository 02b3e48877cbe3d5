"""What `import descant` gives: opened models, questions in text, conversations with sound, tools."""
