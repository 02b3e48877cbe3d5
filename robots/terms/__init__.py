"""What robots are spoken of in: reports, commands, capabilities, news, and all that is known of one. No protocol."""
