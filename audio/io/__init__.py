"""Sound cards, files, resampling, echo."""
