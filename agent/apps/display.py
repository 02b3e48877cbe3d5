"""What a turn looks like in the terminal: what is heard and said on the left, the private thoughts on the right.

On a terminal the picture is live; elsewhere it is plain lines. Takes timeline events; knows no models and no sound.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Protocol

from rich.columns import Columns
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from agent.apps.printing import plain_console
from agent.conversation import timeline
from languages.english import ENGLISH
from reasoning.events import ReplyText, Thought, ToolResult, Unsaid

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agent.conversation.timeline import Event, TurnLatency

_LINES: Final = 14
"""Lines of thoughts and talk that the live picture shows; it must fit 80 x 24."""


class Display(Protocol):
    """Shows timeline events to a person."""

    def show(self, t_ms: float, event: Event) -> None:
        """Show one event."""
        ...


class _Plain:
    """A line for each thing that is final: for files, pipes and logs."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._thought = ""

    def show(self, t_ms: float, event: Event) -> None:
        match event:
            case timeline.Thought(text):
                self._think(t_ms, text)
            case timeline.TurnEnded(text):
                self._say(t_ms, "you", text)
            case timeline.AudioOut(text=text, kind=kind):
                self._say(t_ms, "fills" if kind != "content" else "says", text)
            case timeline.Retracted(text, reason) | timeline.Unsaid(text, reason):
                self._say(t_ms, "unsaid", f"{text} ({reason})")
            case timeline.RobotNews(who, text):
                self._say(t_ms, who, text)
            case timeline.ToolResult(name=name, text=text):
                self._say(t_ms, "tool", f"{name}: {text}")
            case timeline.Interrupted(heard):
                self._say(t_ms, "cut", f"heard: {heard}")
            case timeline.TurnDone():
                if self._thought.strip():
                    self._say(t_ms, "thinks", self._thought.strip())
                self._thought = ""
            case _:
                pass

    def _think(self, t_ms: float, text: str) -> None:
        *lines, self._thought = (self._thought + text).split("\n")
        for line in lines:
            if line.strip():
                self._say(t_ms, "thinks", line.strip())

    def _say(self, t_ms: float, who: str, text: str) -> None:
        self._console.print(f"{t_ms / 1000:7.2f} s  {who:>6}  {text}", highlight=False, markup=False, soft_wrap=True)


class _Picture:
    """Two columns that change in place."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._talk: list[Text] = []
        self._hearing = Text()
        self._thoughts = ""
        self._state = "listening"
        self._t_ms = 0.0

    def show(self, t_ms: float, event: Event) -> None:
        self._t_ms = t_ms
        match event:
            case timeline.WordsHeard(committed, tentative, _, _):
                self._hearing = Text.assemble(("you    ", "bold cyan"), committed, (f" {tentative}", "dim"))
            case timeline.TurnEnded(text):
                self._hearing = Text()
                self._talk.append(Text.assemble(("you    ", "bold cyan"), text))
            case timeline.AudioOut(text=text, kind=kind):
                self._talk.append(Text.assemble(("agent  ", "bold green"), (text, "dim" if kind != "content" else "")))
            case timeline.Retracted(text, reason) | timeline.Unsaid(text, reason):
                self._talk.append(Text.assemble(("unsaid ", "yellow"), (text, "strike dim"), (f" {reason}", "dim")))
            case timeline.RobotNews(who, text):
                self._talk.append(Text.assemble((f"{who:<7}", "bold magenta"), text))
            case timeline.ToolResult(name=name, text=text):
                self._talk.append(Text.assemble((f"{name}  ", "bold magenta"), text))
            case timeline.Interrupted():
                self._talk.append(Text("(interrupted)", style="yellow"))
            case timeline.Thought(text):
                self._thoughts += text
            case timeline.StateChanged(name):
                self._state = name.replace("_", " ")
            case _:
                return
        # More than can be seen is not kept: every event draws the picture anew.
        self._talk = self._talk[-_LINES:]
        self._thoughts = self._thoughts[-_LINES * self._live.console.width :]
        self._live.update(self._drawn())

    def _drawn(self) -> Group:
        width = max(20, self._live.console.width // 2 - 1)
        height = min(_LINES, max(4, self._live.console.height - 6))
        talk = Text("\n").join([*self._talk, self._hearing])
        thoughts = Text(self._thoughts.strip(), style="dim")
        panels = [
            Panel(_tail(text, width - 4, height, self._live.console), title=title, width=width, height=height + 2)
            for title, text in (("heard and said", talk), ("private thoughts", thoughts))
        ]
        return Group(Columns(panels, padding=0), Text(f" {self._t_ms / 1000:6.1f} s   {self._state}", style="bold"))


def _tail(text: Text, width: int, height: int, console: Console) -> Text:
    lines = text.wrap(console, width)
    return Text("\n").join(lines[-height:])


@contextmanager
def displayed(console: Console | None = None) -> Iterator[Display]:
    """Show events while the block runs."""
    console = console or plain_console()
    if not console.is_terminal:
        yield _Plain(console)
        return
    with Live(console=console, refresh_per_second=12, transient=False) as live:
        yield _Picture(live)


def latency_table(turns: Sequence[TurnLatency]) -> Table:
    """Lay out how prompt each turn was."""
    table = Table(title="latency, from your last sample of speech", title_justify="left")
    columns = ("turn", "first sound", "first content", "longest silence inside", "reply ends", "ended by")
    for column in columns:
        table.add_column(column, justify="left" if column in {"turn", "ended by"} else "right")
    for turn in turns:
        figures = (turn.first_sound_ms, turn.first_content_ms, turn.longest_silence_ms, turn.reply_end_ms)
        told = turn.text if len(turn.text) <= 28 else f"{turn.text[:27]}…"
        table.add_row(told, *("-" if ms is None else f"{ms / 1000:.2f} s" for ms in figures), turn.reason)
    return table


class Printed:
    """Thoughts and answer in the order in which they come, each on lines of its own."""

    def __init__(self, console: Console, *, thoughts: bool) -> None:
        self._console, self._thoughts = console, thoughts
        self._in_line = False

    def show(self, event: Event) -> None:
        """Print an event, if it is one of these; what tools did, where thoughts are shown."""
        if isinstance(event, Thought) and self._thoughts:
            text = event.text if self._in_line else event.text.lstrip()
            self._console.print(text, style="dim", end="", soft_wrap=True)
            self._in_line = (self._in_line or bool(text)) and not text.endswith("\n")
        elif isinstance(event, ReplyText | Unsaid):
            self.end()
            text = event.text if isinstance(event, ReplyText) else ENGLISH.replies.repair
            self._console.print(text, style="bold", soft_wrap=True)
        elif isinstance(event, ToolResult) and self._thoughts:
            self.end()
            self._console.print(f"[{event.name}: {event.text}]", style="dim", soft_wrap=True)

    def end(self) -> None:
        """End the line that is open: thoughts may have the last word."""
        if self._in_line:
            self._console.print()
        self._in_line = False
