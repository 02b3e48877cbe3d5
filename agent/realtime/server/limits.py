"""How fast one client may go: a bucket of tokens. Sans-I/O."""

from __future__ import annotations


class Bucket:
    """Holds `size` tokens and gets `rate` a second."""

    def __init__(self, rate: float, size: float, now_s: float) -> None:
        self._rate, self._size = rate, size
        self._tokens, self._at_s = size, now_s

    def take(self, now_s: float, count: int = 1) -> float:
        """Take tokens; give the seconds until they are really there."""
        self._tokens = min(self._size, self._tokens + (now_s - self._at_s) * self._rate) - count
        self._at_s = now_s
        return max(0.0, -self._tokens / self._rate)
