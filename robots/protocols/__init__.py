"""Wire formats: each folder translates between the tasks of this room and the messages of one protocol."""
