"""The models that a conversation needs, from disk to ready."""
