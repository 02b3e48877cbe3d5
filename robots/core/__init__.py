"""What is known of a robot and what is to be done with it: no sockets, no clock, no wire format."""
