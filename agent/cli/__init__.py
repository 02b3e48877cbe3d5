"""The command line: options, and which program they start. Nothing imports it."""
