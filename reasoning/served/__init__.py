"""A model behind vLLM's HTTP interface: what is asked, how answers are read, and which of several servers is asked."""
