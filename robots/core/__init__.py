"""What a robot is to do and what becomes of it: no sockets, no clock, no wire format."""
