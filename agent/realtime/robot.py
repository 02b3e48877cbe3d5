"""The server's robot in a client's conversation: its skills beside the client's functions, its news as items.

The first client that comes has the robot, until it is gone; what still drives then is paused. Whoever says "stop"
stops it. Everything else goes by the protocol's own means: news is an item of the conversation, a reply to it a
response. Knows no socket, and neither sound nor MQTT.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from agent.conversation.options import TurnOptions
from agent.conversation.stop_phrases import StopPhrases
from agent.robot.controller import Hands

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.realtime.protocol.messages import ResponseSpec
    from reasoning.events import ToolCall
    from reasoning.tools.calls import Tool
    from robots.session import RobotSession

_WAITING: Final = 32
"""News that may wait for its turn; of more, the newest."""


class Garage:
    """The robot of a server, which one client at a time commands. `run` it in a task."""

    def __init__(self, robot: RobotSession) -> None:
        self._robot = robot
        self._hands: Hands | None = None

    async def run(self) -> None:
        """Tell whoever has the robot what happens to it, for ever."""
        async for event in self._robot.events():
            if self._hands is not None:
                self._hands.happened(event)

    def take(self, rider: Rider, show: Callable[[str, str], None]) -> Hands | None:
        """Give the robot away; None: somebody has it."""
        if self._hands is not None:
            return None
        self._hands = Hands(self._robot, rider, show)
        return self._hands

    def give_back(self, hands: Hands) -> None:
        """Take the robot back from a client that is gone."""
        if hands is self._hands:
            self._hands = None
            if not hands.idle:
                self._robot.hold("the client is gone")

    def stop(self, why: str) -> None:
        """Stop the robot, whoever asks."""
        if self._hands is not None:
            self._hands.stop(why)
        else:
            self._robot.stop(why)


class Rider:
    """One client's side of the robot: a mind for its `Hands`."""

    def __init__(self, garage: Garage, send: Callable[[Mapping[str, Any]], None], show: Callable[[str], None]) -> None:
        """`send` takes an event as if it were the client's; `show` is told what is asked of the robot and reported."""
        self._garage, self._send = garage, send
        self._hands = garage.take(self, lambda who, text: show(f"{who}: {text}"))
        self.tools: tuple[Tool, ...] = () if self._hands is None else tuple(self._hands.tools)
        """What the mind may call beside the client's functions."""
        self.names = "" if self._hands is None else self._hands.words
        """Sentences with the names that this client may say to the robot; none, where somebody else has it."""
        self._stops = StopPhrases(TurnOptions().stop_phrases)
        self._words: deque[str] = deque(maxlen=_WAITING)
        self._prompted = False

    def close(self) -> None:
        """Let go of the robot."""
        if self._hands is not None:
            self._garage.give_back(self._hands)

    def stop(self, phrase: str) -> None:
        """Stop the robot: the user said so."""
        self._garage.stop(f"the user said {phrase!r}")

    def takes(self, call: ToolCall) -> bool:
        """Carry out a call, if it is one of the robot's skills."""
        if self._hands is None or all(call.name != tool.name for tool in self.tools):
            return False
        self._hands.called(call)
        return True

    def heard(self, brief: ResponseSpec) -> str | None:
        """Take what the user said or wrote; give what is to be answered, None where it needs no reply.

        What a function or the system told answers no question of the robot's, whatever words are in it.
        """
        if not brief.said:
            return brief.text
        before, line, last = brief.text.rpartition("\n")
        if self._stops.nothing_else(last):
            self._garage.stop(f"the user wrote {last[:80]!r}")
            return None
        meant = last if self._hands is None else self._hands.heard(last)
        return None if meant is None else f"{before}{line}{meant}"

    # --- what the hands ask for ---

    def note(self, text: str, *, unprompted: bool) -> None:
        """Put news into the conversation."""
        content = [{"type": "input_text", "text": text}]
        self._send(
            {"type": "conversation.item.create", "item": {"type": "message", "role": "system", "content": content}}
        )
        self._prompted |= unprompted

    def announce(self, text: str) -> None:
        """Have these very words said, when nothing else is being said."""
        self._words.append(text)

    def go_on(self) -> None:
        """Ask for the response that is due; to be called while there is none and nobody speaks."""
        if self._words or self._prompted:
            self._prompted = False
            self._send({"type": "response.create"})

    def words(self) -> str:
        """Give the words that are to be said as they stand, once."""
        said = " ".join(self._words)
        self._words.clear()
        return said
