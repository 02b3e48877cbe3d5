"""Measures the agent: `descant bench NAME`, all in one frame."""
