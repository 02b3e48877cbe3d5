"""Blocks, views, engines, the asynchronous loop, and models on disk."""
