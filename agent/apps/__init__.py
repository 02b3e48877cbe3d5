"""The programs that a person starts: at the desk, over a recording, typed, as a server's client; and what they show."""
