"""Words that a robot wrote: data for a model, never instructions, and short."""

from __future__ import annotations


def plain(text: str | None, limit: int = 200) -> str:
    """Return one printable line of at most `limit` characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text or "").split())[:limit]
