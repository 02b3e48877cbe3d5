"""Ways to break the arithmetic of views that the tests must notice, and the server's own self-test."""

from __future__ import annotations

from typing import Final

MUTANTS: Final = ("no rotation", "off by one", "one token stale", "wrong parent", "own segment twice")
