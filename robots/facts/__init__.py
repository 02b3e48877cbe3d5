"""What is true of a robot and its commands, as codes and facts; the words for them stand in `languages/`."""
