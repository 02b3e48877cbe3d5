"""`descant bench think`."""
