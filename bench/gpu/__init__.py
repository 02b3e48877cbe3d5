"""`make check-gpu`: ten minutes on a machine with a graphics processor, one JSON document; docs/gpu.md.

Runs from a checkout on whatever torch is there, with neither network nor models: needs torch, numpy and platformdirs.
"""
