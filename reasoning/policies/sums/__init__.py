"""The policy for sums: finished calculations are read out while the next one is worked out."""
