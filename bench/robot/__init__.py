"""`descant bench robot`."""
