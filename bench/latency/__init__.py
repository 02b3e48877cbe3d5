"""`descant bench latency` and `descant bench echo`."""
