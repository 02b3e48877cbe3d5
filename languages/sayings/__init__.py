"""What is said of a robot, one module for each language."""
