"""`descant bench engine`."""
