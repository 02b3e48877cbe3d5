"""How plain requests to a robot are put, by language."""
