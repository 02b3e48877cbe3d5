"""Runs the check: `python -m bench.gpu`."""

from __future__ import annotations

import sys

from bench.gpu.command import main

if __name__ == "__main__":
    sys.exit(main())
