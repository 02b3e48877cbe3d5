"""What one server was asked at one number of conversations, and how promptly it answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from bench.statistics import percentile

IN_TIME_S: Final = 2.0
"""Until when an answer has to begin, in s after its question."""


@dataclass(slots=True)
class ServerAnswer:
    """One question and what came of it."""

    first_audio_s: float | None = None
    """From the last sample of the question to the first of the answer; None: none came."""
    first_content_s: float | None = None
    """From the last sample of the question to the first that is no filler."""
    gap_s: float = 0.0
    """Longest silence inside the answer, as a listener hears it, in s."""


@dataclass(slots=True)
class ServerLevel:
    """All conversations of one number."""

    conversations: int
    answers: list[ServerAnswer] = field(default_factory=list)
    memory_mb: float = 0.0
    """Resident memory of server and clients together, in MB."""

    @property
    def times_s(self) -> list[float]:
        """When the answers that came began, in s after their questions."""
        return [answer.first_audio_s for answer in self.answers if answer.first_audio_s is not None]

    @property
    def p95_s(self) -> float | None:
        """How late answers begin; None when one did not come at all."""
        return percentile(self.times_s, 95) if len(self.times_s) == len(self.answers) else None

    @property
    def in_time(self) -> bool:
        """Whether 95 % of the answers begin within two seconds, and none is missing."""
        return self.p95_s is not None and self.p95_s < IN_TIME_S
