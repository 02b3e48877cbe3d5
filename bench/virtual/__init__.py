"""The loop on a virtual clock."""
