"""`descant bench server` and `descant bench fleet`."""
