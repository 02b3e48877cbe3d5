"""Sockets, keys, limits and pages around the protocol."""
