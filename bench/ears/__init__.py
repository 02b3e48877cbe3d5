"""`descant bench ears`."""
