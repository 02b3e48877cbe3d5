"""The contract of engines, and the embedded one: blocks, views, one batched step for all streams."""
