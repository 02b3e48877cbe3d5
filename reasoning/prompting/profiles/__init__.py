"""What is known of single models, as data: how they think, how their tokens are drawn, what was measured on them."""
