"""Kernels in C for processors with AVX-512 VNNI, compiled on the machine that runs them. Never required."""
