"""What `compose.yaml` starts, checked without Docker."""
