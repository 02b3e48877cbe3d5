"""Kernels in C, one set for each kind of processor, compiled on the machine that runs them. Never required."""
