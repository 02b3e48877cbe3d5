"""How much of what was sent has been played, as long as only the clock can tell. Sans-I/O.

Over a websocket only the client knows. It plays what it has at once, so that the time since the first sound, less the
gaps between sounds, is the best guess until it says better.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class PlayClock:
    """The sound of one reply."""

    sent_s: float = 0.0
    """Seconds that were sent."""
    end_s: float = 0.0
    """When all of it will have been played, on the caller's clock."""

    def send(self, seconds: float, now_s: float) -> None:
        """Take note of sound that goes out."""
        self.end_s = max(self.end_s, now_s) + seconds
        self.sent_s += seconds

    def left_s(self, now_s: float) -> float:
        """Seconds that are still to be played."""
        return max(0.0, self.end_s - now_s)

    def played_s(self, now_s: float) -> float:
        """Seconds that were played."""
        return max(0.0, self.sent_s - self.left_s(now_s))
