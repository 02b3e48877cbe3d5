"""What stands between a command and a robot: gate, stop, audit."""
