"""The picture of a live conversation in a terminal."""
