"""What suits this machine: measured once for each model, chosen from what was measured, put where nobody set it."""
