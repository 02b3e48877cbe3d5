"""The server's robot in a client's conversation: its skills beside the client's functions, its news as items.

The first client that comes has the robot, until it is gone; what still drives then is paused. Whoever says "stop"
stops it. Everything else goes by the protocol's own means: news is an item of the conversation, a reply to it a
response. Knows no socket, and neither sound nor MQTT.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

from agent.robot.controller import RobotController
from robots.facts.tasks import ClientGone

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.realtime.protocol.messages import ResponseSpec
    from audio.hearing.stop_phrases import StopPhrases
    from languages.language import Language
    from reasoning.events import ToolCall
    from reasoning.tools.calls import Tool
    from robots.port import RobotPort

_WAITING: Final = 32
"""News that may wait for its turn; of more, the newest."""


class NoteTaker(Protocol):
    """Takes news into a client's conversation."""

    def noted(self, text: str, *, unprompted: bool) -> None:
        """Make an item of it; `unprompted`: and have a reply to it."""
        ...


class SharedRobot:
    """The robot of a server, which one client at a time commands. `run` it in a task."""

    def __init__(self, robot: RobotPort) -> None:
        self._robot = robot
        self._controller: RobotController | None = None
        """Of the client that has the robot; None while nobody has it."""

    async def run(self) -> None:
        """Tell whoever has the robot what happens to it, for ever."""
        async for event in self._robot.events():
            if self._controller is not None:
                self._controller.happened(event)

    def refused(self) -> Mapping[str, int]:
        """Return how many messages of the robot could not be used, by the code of the reason."""
        return self._robot.world.refused.counts

    def take(self, lease: RobotLease, show: Callable[[str, str], None]) -> RobotController | None:
        """Give the robot away; None: somebody has it."""
        if self._controller is not None:
            return None
        self._controller = RobotController(self._robot, lease, show)
        return self._controller

    def give_back(self, controller: RobotController) -> None:
        """Take the robot back from a client that is gone."""
        if controller is self._controller:
            self._controller = None
            if not controller.idle:
                self._robot.hold(ClientGone())

    def stop(self, why: str) -> None:
        """Stop the robot, whoever asks."""
        if self._controller is not None:
            self._controller.stop(why)
        else:
            self._robot.stop(why)


class RobotLease:
    """One client's side of the robot: a conversation for its controller, if the client is the one that has it."""

    def __init__(self, robot: SharedRobot, notes: NoteTaker, show: Callable[[str], None], stops: StopPhrases) -> None:
        """`show` is told what is asked of the robot and reported; `stops` are phrases that stop it when written."""
        self._robot, self._notes, self._stops = robot, notes, stops
        self._controller = robot.take(self, lambda who, text: show(f"{who}: {text}"))
        """None where another client has the robot."""
        self.tools: tuple[Tool, ...] = () if self._controller is None else tuple(self._controller.tools)
        """What the model may call beside the client's functions."""
        self.names = "" if self._controller is None else self._controller.words
        """Sentences with the names that this client may say to the robot; none, where somebody else has it."""
        self._words: deque[str] = deque(maxlen=_WAITING)

    def close(self) -> None:
        """Let go of the robot."""
        if self._controller is not None:
            self._robot.give_back(self._controller)

    def speak(self, language: Language) -> None:
        """Speak of the robot in a language."""
        if self._controller is not None:
            self._controller.language = language

    def stop(self, phrase: str) -> None:
        """Stop the robot: the user said so."""
        self._robot.stop(f"the user said {phrase!r}")

    def takes(self, call: ToolCall) -> bool:
        """Carry out a call, if it is one of the robot's skills."""
        if self._controller is None or all(call.name != tool.name for tool in self.tools):
            return False
        self._controller.called(call)
        return True

    def heard(self, spec: ResponseSpec) -> str | None:
        """Take what the user said or wrote; give what is to be answered, None where it needs no reply.

        What a function or the system told answers no question of the robot's, whatever words are in it.
        """
        if not spec.said:
            return spec.text
        before, line, last = spec.text.rpartition("\n")
        if self._stops.nothing_else(last):
            self._robot.stop(f"the user wrote {last[:80]!r}")
            return None
        meant = last if self._controller is None else self._controller.heard(last)
        return None if meant is None else f"{before}{line}{meant}"

    # --- what the controller asks for ---

    def note(self, text: str, *, unprompted: bool) -> None:
        """Put news into the conversation."""
        self._notes.noted(text, unprompted=unprompted)

    def announce(self, text: str) -> None:
        """Have these very words said, when nothing else is being said."""
        self._words.append(text)

    @property
    def announces(self) -> bool:
        """Whether words wait to be said."""
        return bool(self._words)

    def words(self) -> str:
        """Give the words that are to be said as they stand, once."""
        said = " ".join(self._words)
        self._words.clear()
        return said
