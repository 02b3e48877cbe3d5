"""A robot by typed requests: the loop and the robot's controller, without ears or voice.

Each line is a turn. What is said, thought, called and reported is shown as it comes; the run ends when there is no
further line and the robot has nothing left to do.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from rich.text import Text

from agent.apps.loading import spinning, telling
from agent.apps.printing import plain_console
from agent.apps.progress import shown
from agent.conversation.assembly import languages_of, local_time, open_loop
from agent.conversation.options import TurnOptions
from agent.errors import NobodyAnswered
from agent.models.assembly import open_models
from agent.robot.access import commanded, until_ready
from agent.robot.controller import RobotController
from audio.hearing.stop_phrases import StopPhrases
from languages.spoken import written_in
from reasoning import events as loop_events
from robots.transport.connection import site_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

    from agent.config.settings import Loaded, Settings
    from languages.language import Language
    from reasoning.engine.contract import Engine
    from reasoning.loop.loop import Loop
    from reasoning.prompting.script import Script
    from robots.port import RobotPort

_LOOKS_S: Final = 0.05
_PAUSE_S: Final = 0.5
"""How often the robot is looked at while nothing is told, s."""


@dataclass(frozen=True, slots=True)
class TypedOptions:
    """What the command line asks for."""

    requests: tuple[str, ...]
    """The first turns."""
    listen: bool
    """Whether further turns are read from standard input."""
    confirmed: bool
    """Whether the user has said yes to every question in advance."""
    thoughts: bool
    seed: int


async def run(loaded: Loaded, typed: TypedOptions) -> bool:
    """Carry out typed requests; return whether everything that was begun was done.

    Raises:
        RobotNotReady: the robot cannot be commanded.
        NobodyAnswered: something was asked about that nobody was there to answer, so it was not done.

    """
    settings = loaded.settings
    site_of(settings.robot)
    opening = open_models(settings, given=loaded.origins, fetching=shown, shown=spinning, tell=telling)
    async with opening as models, commanded(settings.robot) as robot:
        await until_ready(robot)
        screen = Lines(plain_console(), thoughts=typed.thoughts)
        talk = TypedConversation(robot, screen, typed, settings.turns)
        return await talk.hold(models.engine, models.script, models.settings)


class TypedScreen(Protocol):
    """Shows to a person what happens."""

    def show(self, who: str, text: str) -> None:
        """Show who did what."""
        ...

    def think(self, text: str) -> None:
        """Show a piece of thought."""
        ...

    def end_thoughts(self) -> None:
        """Take note that the thoughts have come to an end, for now."""
        ...


class Lines:
    """One line for everything that happens."""

    def __init__(self, console: Console, *, thoughts: bool) -> None:
        self._console, self._thoughts, self._line = console, thoughts, ""
        self._began = time.monotonic()

    def show(self, who: str, text: str) -> None:
        """Show who did what."""
        style = {"says": "bold", "thinks": "dim", "stop": "bold red", "robot": "cyan"}.get(who, "")
        line = f"{time.monotonic() - self._began:7.2f} s  {who:>6}  {text}"
        self._console.print(Text(line, style=style), soft_wrap=True)

    def think(self, text: str) -> None:
        """Show thoughts, line by line."""
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            if self._thoughts and line.strip():
                self.show("thinks", line.strip())

    def end_thoughts(self) -> None:
        """Show the last line of thoughts."""
        self.think("\n")


class TypedConversation:
    """Typed turns, notes of the robot, and the replies to both; one reply at a time."""

    def __init__(self, robot: RobotPort, screen: TypedScreen, typed: TypedOptions, turns: TurnOptions) -> None:
        self._robot, self._screen, self._typed = robot, screen, typed
        self._controller = RobotController(robot, self, screen.show)
        self._stops = StopPhrases(turns.stop_phrases)
        self._waiting: asyncio.Queue[str] = asyncio.Queue()
        self._notes: list[str] = []
        self._prompted = False
        self._news = asyncio.Event()
        self._said: list[str] = []
        self._reply: asyncio.Task[None] | None = None
        self._more = typed.listen
        self._announced = ""
        """What was announced last: a question, where one waits."""
        self._unanswered: list[str] = []
        """Questions that nobody was there to answer."""

    # --- what the controller asks for ---

    def note(self, text: str, *, unprompted: bool) -> None:
        """Keep a note for the model."""
        self._notes.append(text)
        self._prompted |= unprompted
        self._news.set()

    def announce(self, text: str) -> None:
        """Show what would be spoken."""
        self._announced = text
        self._screen.show("says", text)
        self._news.set()

    def told(self, event: loop_events.LoopEvent) -> None:
        """Take what the loop tells."""
        match event:
            case loop_events.Thought(text):
                self._screen.think(text)
            case loop_events.ReplyText(text):
                self._screen.end_thoughts()
                self._said.append(text)
                self._screen.show("says", text)
            case loop_events.Unsaid():
                self._screen.end_thoughts()
                repair = self._controller.language.replies.repair
                self._said.append(repair)
                self._screen.show("says", repair)
            case loop_events.ToolCall():
                self._screen.end_thoughts()
                self._controller.called(event)
            case loop_events.TurnDone():
                self._screen.end_thoughts()
            case _:
                pass

    # --- the run ---

    async def hold(self, engine: Engine, script: Script, settings: Settings) -> bool:
        """Talk until nothing is left to do; return whether all went well. Raises NobodyAnswered."""
        opening = open_loop(
            engine=engine,
            script=script,
            settings=settings,
            emit=self.told,
            clock=time.monotonic,
            now=local_time,
            tools=self._controller.tools,
            seed=self._typed.seed,
        )
        languages = languages_of(settings)
        self._controller.language = languages[0]
        async with opening as loop:
            for request in self._typed.requests:
                self._take(request)
            async with asyncio.TaskGroup() as group:
                follower = group.create_task(self._controller.follow(), name="robot events")
                if self._more:
                    self._read_lines()
                await self._serve(loop, group, languages)
                follower.cancel()
        if self._unanswered:
            asked = ", ".join(map(repr, self._unanswered))
            raise NobodyAnswered(
                f"not done, since nobody was there to answer {asked}: say yes in advance with --yes, "
                "name the place in the request, or type the answer as a further line"
            )
        return not self._controller.undone

    async def _serve(self, loop: Loop, group: asyncio.TaskGroup, languages: Sequence[Language]) -> None:
        while True:
            self._news.clear()
            busy = self._reply is not None and not self._reply.done()
            notes, self._notes = self._notes, []
            for note in notes:
                await loop.note(note)
            if not self._waiting.empty() and (self._controller.asks or not busy):
                line = self._waiting.get_nowait()
                self._controller.language = written_in(line, languages, self._controller.language)
                text = self._controller.heard(line)
                if text is not None:
                    await self._ended(self._reply)
                    loop.speak(self._controller.language)
                    self._reply = group.create_task(self._answer(loop, text), name="reply")
            elif self._prompted and not busy and loop.notes_waiting:
                self._prompted = False
                self._reply = group.create_task(self._answer(loop, ""), name="reply")
            elif self._controller.asks and not self._answers():
                # An answer must be later than its question.
                await asyncio.sleep(_LOOKS_S)
                self._answer_alone()
            elif not busy and self._controller.idle and not self._more and not self._notes:
                return
            else:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), _PAUSE_S)

    def _answers(self) -> bool:
        """Whether somebody may still answer a question."""
        return self._more and not self._typed.confirmed

    def _answer_alone(self) -> None:
        """Answer where nobody else does: yes, if that was said in advance and is an answer to what is asked."""
        doubt = self._controller.doubt
        yes = self._typed.confirmed and (doubt is None or bool(doubt.name))
        if not yes:
            self._unanswered.append(self._announced)
        self._take("yes" if yes else "never mind")

    async def _answer(self, loop: Loop, text: str) -> None:
        self._said.clear()
        try:
            await loop.answer(text)
        finally:
            await loop.finish(" ".join(self._said))
            self._news.set()

    @staticmethod
    async def _ended(reply: asyncio.Task[None] | None) -> None:
        if reply is not None:
            await asyncio.wait([reply])

    def _read_lines(self) -> None:
        """Read standard input in a thread of its own, which nothing can wake: it may outlive the run."""
        running = asyncio.get_running_loop()

        def read() -> None:
            for line in sys.stdin:
                if line.strip():
                    _tell(running, self._take, line.strip())
            _tell(running, self._end_of_lines)

        threading.Thread(target=read, name="typed lines", daemon=True).start()

    def _take(self, line: str) -> None:
        """Take a line; a stop waits for nothing."""
        self._screen.show("you", line)
        if self._stops.nothing_else(line):
            self._controller.stop(f"the user typed {line!r}")
            if self._reply is not None:
                self._reply.cancel()
        else:
            self._waiting.put_nowait(line)
        self._news.set()

    def _end_of_lines(self) -> None:
        self._more = False
        self._news.set()


def _tell(loop: asyncio.AbstractEventLoop, callback: Callable[..., None], *arguments: object) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(callback, *arguments)
