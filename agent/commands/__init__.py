"""The commands of the console script, one module for each group."""
