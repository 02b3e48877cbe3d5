"""Sound in, words out; words in, sound out; and what was really heard."""
