"""What turns cost: time, tokens, energy, and from a table of sites carbon, water and money; where they cost least."""
