"""The transcript that `--save` writes: who said what when, as plain text; of the agent only what was heard.

Takes timeline events. Holds no thoughts; nothing is written unless somebody names a file.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Self

from agent.conversation import timeline
from agent.errors import TranscriptError

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from agent.conversation.timeline import Event


class Transcript:
    """Writes a transcript, line by line; `with` it, since the last line is known only at the end."""

    def __init__(self, path: Path) -> None:
        """Open the file anew, readable by its owner only.

        Raises:
            TranscriptError: it cannot be written.

        """
        self._path = path
        try:
            path.touch(mode=0o600)
            self._file = path.open("w", encoding="utf-8", errors="replace", buffering=1)
        except OSError as error:
            raise self._refusal(error) from error
        self._since_ms = 0.0
        self._said: list[str] = []

    def write(self, t_ms: float, event: Event) -> None:
        """Take an event at its moment, in ms since the first input frame."""
        match event:
            case timeline.TurnEnded(text):
                self._agent()
                self._line(t_ms, "you", text)
            case timeline.AudioOut(start_ms=start_ms, text=text, kind="content"):
                self._since_ms = self._since_ms if self._said else start_ms
                self._said.append(text)
            case timeline.Interrupted(heard):
                self._said = [f"{heard.strip()} —"] if heard.strip() else []
                self._agent()
            case timeline.Prompted():
                self._agent()
            case _:
                pass

    def _agent(self) -> None:
        if self._said:
            self._line(self._since_ms, "agent", " ".join(self._said))
        self._said = []

    def _line(self, t_ms: float, who: str, text: str) -> None:
        seconds = int(t_ms // 1000)
        try:
            self._file.write(f"{seconds // 60:02}:{seconds % 60:02}  {who:5}  {' '.join(text.split())}\n")
        except OSError as error:
            raise self._refusal(error) from error

    def _refusal(self, error: OSError) -> TranscriptError:
        return TranscriptError(f"the transcript {self._path} cannot be written: {error.strerror}; name another.")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._agent()
        finally:
            with suppress(OSError):
                self._file.close()
