"""What a live conversation looks like, as text: timeline events and moments in, styled lines out.

The words of the agent light up as they are heard; what is written and not said yet is dim, and so is what may still be
heard differently. Draws nothing itself: it knows no terminal and reads no clock.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from rich.text import Text

from agent.conversation import timeline
from agent.conversation.timeline import TimelineEntry, turn_latencies

if TYPE_CHECKING:
    from agent.conversation.timeline import Event, TurnLatency

_KEPT: Final = 60
"""Turns and notices that can be scrolled back to."""
_THOUGHTS: Final = 8_000
"""Letters of thoughts that can be scrolled back to."""
_MEASURED: Final = 400
"""Entries that the latencies of the last turn are computed from."""
_YOU: Final = Text("you", "bold cyan")
_AGENT: Final = Text("agent", "bold green")

Who = Literal["you", "agent", "note"]


@dataclass(slots=True)
class _Clip:
    """A piece of speech that is being heard, or was."""

    text: str
    kind: str
    start_ms: float
    end_ms: float
    cut_ms: float | None = None

    def heard(self, now_ms: float) -> int:
        """Give how many of its letters were heard, to the last word that has begun."""
        length, until = self.end_ms - self.start_ms, now_ms if self.cut_ms is None else min(now_ms, self.cut_ms)
        part = 1.0 if length <= 0 else max(0.0, min(1.0, (until - self.start_ms) / length))
        if part >= 1:
            return len(self.text)
        if part <= 0:
            return 0
        # The word that sounds is lit from its beginning.
        end = self.text.find(" ", int(part * len(self.text)))
        return len(self.text) if end < 0 else end


@dataclass(slots=True)
class _Said:
    """One line of the conversation."""

    who: Who
    text: str = ""
    clips: list[_Clip] = field(default_factory=list)
    written: str = ""
    """Text of the reply that does not sound yet."""
    cut: bool = False

    def take(self, event: timeline.ReplyText | timeline.AudioOut | timeline.AudioCut) -> None:
        """Take what becomes of the reply."""
        match event:
            case timeline.ReplyText(text):
                self.written = f"{self.written} {text}".strip()
            case timeline.AudioOut(start_ms, end_ms, text, kind):
                self.clips.append(_Clip(text, kind, start_ms, end_ms))
                if kind == "content":
                    self.written = self.written.removeprefix(text).strip()
            case timeline.AudioCut(start_ms, end_ms):
                for clip in self.clips:
                    clip.cut_ms = end_ms if clip.start_ms == start_ms else clip.cut_ms


class Picture:
    """The state of the picture."""

    def __init__(self) -> None:
        self.state = "listening"
        """What the agent is doing, in words."""
        self.thoughts = ""
        """The newest private thoughts."""
        self.latency: TurnLatency | None = None
        """How prompt the last reply was."""
        self._lines: deque[_Said] = deque(maxlen=_KEPT)
        self._committed = self._tentative = ""
        self._paused_ms: float | None = None
        self._entries: deque[TimelineEntry] = deque(maxlen=_MEASURED)

    def show(self, t_ms: float, event: Event) -> None:
        """Take an event."""
        self._measure(t_ms, event)
        match event:
            case timeline.WordsHeard(committed, tentative, _, _):
                self._committed, self._tentative = committed, tentative
            case timeline.TurnEnded(text):
                self._committed = self._tentative = ""
                self._lines += [_Said("you", text), _Said("agent")]
            case timeline.Prompted():
                self._lines.append(_Said("agent"))
            case timeline.Thought(text):
                self.thoughts = (self.thoughts + text)[-_THOUGHTS:]
            case timeline.TurnDone():
                self.thoughts = f"{self.thoughts.rstrip()}\n\n"
            case timeline.HardStopped() | timeline.ToolCall() | timeline.HistoryDropped() | timeline.Failed():
                self.notice(_told(event))
            case _:
                self._sound(t_ms, event)

    def notice(self, text: str) -> None:
        """Show a sentence that nobody said."""
        self._lines.append(_Said("note", text))

    def conversation(self, now_ms: float) -> list[tuple[Text, Text]]:
        """Give what was said, as it stands at that moment: who, and what."""
        now_ms = now_ms if self._paused_ms is None else min(now_ms, self._paused_ms)
        lines = [drawn for line in self._lines if (drawn := _drawn(line, now_ms)) is not None]
        if self._committed or self._tentative:
            space = " " if self._committed and self._tentative else ""
            lines.append((_YOU, Text.assemble(self._committed, (f"{space}{self._tentative}", "dim"))))
        return lines

    def promptness(self) -> str:
        """Tell how prompt the last reply was."""
        turn = self.latency
        if turn is None or turn.first_sound_ms is None:
            return ""
        content = "" if turn.first_content_ms is None else f" · content {turn.first_content_ms / 1000:.1f} s"
        return f"sound {turn.first_sound_ms / 1000:.1f} s{content} · gap {turn.longest_silence_ms / 1000:.1f} s"

    # --- what is heard ---

    def _reply(self) -> _Said:
        line = next((line for line in reversed(self._lines) if line.who == "agent"), None)
        if line is None:
            line = _Said("agent")
            self._lines.append(line)
        return line

    def _sound(self, t_ms: float, event: Event) -> None:
        match event:
            case timeline.ReplyText() | timeline.AudioOut() | timeline.AudioCut():
                self._reply().take(event)
            case timeline.StateChanged(name):
                self.state = name.replace("_", " ")
            case timeline.Paused():
                self._paused_ms, self.state = t_ms, "pausing"
            case timeline.WentOn():
                self._resumed(t_ms)
            case timeline.Interrupted():
                self._paused_ms = None
                reply = self._reply()
                reply.cut, reply.written = True, ""
            case _:
                pass

    def _resumed(self, t_ms: float) -> None:
        if self._paused_ms is not None:
            for clip in self._reply().clips[-1:]:
                if clip.end_ms > self._paused_ms:
                    # What is left of it is heard so much later.
                    clip.start_ms, clip.end_ms = (at + t_ms - self._paused_ms for at in (clip.start_ms, clip.end_ms))
        self._paused_ms, self.state = None, "speaking"

    def _measure(self, t_ms: float, event: Event) -> None:
        if isinstance(event, timeline.SpeechStopped | timeline.TurnEnded | timeline.AudioOut | timeline.TurnDone):
            self._entries.append(TimelineEntry(t_ms, event))
            if isinstance(event, timeline.AudioOut):
                self.latency = next(reversed(turn_latencies(self._entries)), None)


def _told(event: timeline.HardStopped | timeline.ToolCall | timeline.HistoryDropped | timeline.Failed) -> str:
    match event:
        case timeline.HardStopped(phrase):
            return f"stopped: “{phrase}”"
        case timeline.ToolCall(name=name):
            return f"calls {name}"
        case timeline.HistoryDropped(turns):
            return f"the oldest {turns} turns are forgotten"
        case timeline.Failed(message):
            return message


def _drawn(line: _Said, now_ms: float) -> tuple[Text, Text] | None:
    if line.who == "note":
        return Text(), Text(line.text, "yellow")
    if line.who == "you":
        return _YOU, Text(line.text)
    if not line.clips and not line.written:
        return None
    text = Text()
    for clip in line.clips:
        heard = clip.heard(now_ms)
        sounds = heard and now_ms < clip.end_ms
        text.append(clip.text[:heard], "italic" if clip.kind != "content" else "bold" if sounds else "")
        if not line.cut:
            text.append(clip.text[heard:], "dim")
        text.append(" ")
    text.append(line.written, "dim")
    if line.cut:
        text.append("—", "yellow")
    return _AGENT, text
