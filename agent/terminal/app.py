"""The live picture of a conversation in a terminal: what is said, what is thought, how loud, how prompt, which keys.

Works over ssh and from 80 x 24 up; keys are pressed, never held, since terminals do not tell when one is let go. Knows
the conversation only by its events and the controls; needs textual.
"""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, ClassVar, Final

from rich.table import Table
from rich.text import Text
from textual.app import App
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Footer, Static

from agent.terminal.picture import Picture

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from textual.app import ComposeResult

    from agent.apps.desktop import Controls
    from agent.conversation.timeline import Event

_REFRESH_S: Final = 1 / 15
_METER: Final = 8
"""Columns of a level meter."""
_RANGE_DB: Final = 50.0
"""What a level meter shows: this much below full scale is its left end."""
_FALL: Final = 0.85
"""How much of a level is left after a refresh: a meter rises at once and falls slowly."""
_NARROW: Final = 70
"""Columns below which the thoughts give way to the conversation."""
_STATES: Final = {"listening": "cyan", "thinking": "magenta", "pausing": "yellow"}


class Terminal(App[None]):
    """Shows one conversation: a screen of `agent.apps.desktop`."""

    CSS = """
    #head, #foot { height: 1; padding: 0 1; }
    #head { background: $panel; }
    #talk, #mind { border: round $primary; padding: 0 1; scrollbar-size-vertical: 1; }
    #talk { width: 3fr; }
    #mind { width: 2fr; color: $text-muted; border: round $secondary; }
    """
    BINDINGS: ClassVar = [
        ("s,escape", "stop", "STOP"),
        ("i", "interrupt", "interrupt"),
        ("m", "mute", "mute"),
        ("p", "push", "push to talk"),
        ("space", "talk", "talk/done"),
        ("t", "thoughts", "thoughts"),
        ("q", "end", "quit"),
    ]
    ENABLE_COMMAND_PALETTE = False

    def __init__(self, controls: Controls) -> None:
        super().__init__()
        self.picture = Picture()
        self._controls = controls
        self._levels = [0.0, 0.0]
        self._start_s = self._clock_s = time.monotonic()
        self._hidden = False

    def compose(self) -> ComposeResult:
        """Lay the picture out."""
        yield Static(id="head")
        with Horizontal():
            with VerticalScroll(id="talk") as talk:
                talk.border_title = "heard and said"
                yield Static(id="said")
            with VerticalScroll(id="mind") as mind:
                mind.border_title = "private thoughts"
                yield Static(id="thoughts")
        yield Static(id="foot")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Begin to draw."""
        for panel in self.query(VerticalScroll):
            panel.anchor()
        self.draw()
        self.set_interval(_REFRESH_S, self.draw)

    # --- a screen of agent.apps.desktop ---

    def show(self, t_ms: float, event: Event) -> None:
        """Take an event; it is drawn at the next refresh."""
        self._clock_s = time.monotonic() - t_ms / 1000
        self.picture.show(t_ms, event)

    def level(self, microphone: float, loudspeaker: float) -> None:
        """Take how loud both are (RMS, 0..1)."""
        self._levels = [max(old, new) for old, new in zip(self._levels, (microphone, loudspeaker), strict=True)]

    def notice(self, text: str) -> None:
        """Show a sentence about the devices."""
        self.picture.notice(text)

    # --- keys ---

    def action_interrupt(self) -> None:
        """Cut the reply."""
        self._controls.interrupt()

    def action_stop(self) -> None:
        """Cut the reply and stop the robot."""
        self._controls.stop()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Have the stop key only where there is a robot."""
        del parameters
        return action != "stop" or self._controls.robot

    def action_mute(self) -> None:
        """Close or open the microphone."""
        self._controls.muted = not self._controls.muted

    def action_push(self) -> None:
        """Let the microphone be open only while talking, or always."""
        self._controls.push_to_talk, self._controls.talking = not self._controls.push_to_talk, False

    def action_talk(self) -> None:
        """Begin or end to talk."""
        self._controls.talking = self._controls.push_to_talk and not self._controls.talking

    def action_thoughts(self) -> None:
        """Hide or show the private thoughts."""
        self._hidden = not self._hidden

    def action_end(self) -> None:
        """End the conversation in order."""
        self._controls.ended.set()

    async def action_quit(self) -> None:
        """End the conversation in order; what Ctrl-Q does."""
        self.action_end()

    def action_help_quit(self) -> None:
        """End the conversation in order; what Ctrl-C does."""
        self.action_end()

    # --- the picture ---

    def draw(self, now_ms: float | None = None) -> None:
        """Draw the picture as it stands at that moment; at this one, unless told."""
        now_ms = (time.monotonic() - self._clock_s) * 1000 if now_ms is None else now_ms
        if not self.query("#foot"):
            # Nothing is laid out yet, or any more.
            return
        self.query_one("#said", Static).update(self._talk(now_ms))
        mind = self.query_one("#mind")
        mind.display = not self._hidden and self.size.width >= _NARROW
        if mind.display:
            self.query_one("#thoughts", Static).update(Text(self.picture.thoughts.strip()))
        self.query_one("#head", Static).update(self._head())
        self.query_one("#foot", Static).update(self._foot())
        self._levels = [level * _FALL for level in self._levels]

    def _talk(self, now_ms: float) -> Table:
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(min_width=5)
        table.add_column(ratio=1)
        for who, text in self.picture.conversation(now_ms):
            table.add_row(who, text)
        return table

    def _head(self) -> Text:
        controls, state = self._controls, self.picture.state
        seconds = int(time.monotonic() - self._start_s)
        text = Text.assemble(("descant ", "bold"), ("● ", _STATES.get(state.split()[0], "green")), state)
        if controls.muted:
            text.append("  muted", "bold red")
        elif controls.push_to_talk:
            text.append("  talk now" if controls.talking else "  space to talk", "bold yellow")
        clock = f"{seconds // 60}:{seconds % 60:02}"
        return text.append(clock.rjust(max(2, self.size.width - 2 - text.cell_len)), "dim")

    def _foot(self) -> Text:
        microphone, loudspeaker = self._levels
        text = Text("mic ", "dim").append_text(_meter(microphone, "cyan"))
        text.append(" voice ", "dim").append_text(_meter(loudspeaker, "green"))
        return text.append(f"  {self.picture.promptness()}", "dim")


def _meter(level: float, colour: str) -> Text:
    decibels = 20 * math.log10(max(level, 1e-6))
    full = round(max(0.0, min(1.0, 1 + decibels / _RANGE_DB)) * _METER)
    return Text.assemble(("■" * full, colour), ("·" * (_METER - full), "dim"))


@asynccontextmanager
async def terminal(controls: Controls) -> AsyncIterator[Terminal]:
    """Show a conversation while the block runs; the terminal is as it was afterwards."""
    app = Terminal(controls)
    running = asyncio.create_task(app.run_async(mouse=False), name="terminal")
    # Whoever closes the terminal has ended the conversation.
    running.add_done_callback(lambda _: controls.ended.set())
    try:
        yield app
    finally:
        app.exit()
        await running
