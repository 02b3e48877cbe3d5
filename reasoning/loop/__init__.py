"""The asynchronous loop: thinker, writer and probes over one shared cache."""
