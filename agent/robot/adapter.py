"""A robot in a conversation at the desk: its controller, wired by the conversation's own hooks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from agent.robot.controller import RobotController

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.conversation.driver import ConversationDriver
    from agent.robot.misheard import Doubt
    from agent.robot.proposal import Proposal
    from audio.messages import Words
    from languages.language import Language
    from reasoning.tools.calls import Tool
    from robots.port import RobotPort
    from robots.safety.gate import Question


class RobotAdapter:
    """A robot in a conversation at the desk, wired by the conversation's own hooks.

    `heard`, `called` and `stop` are its `on_turn`, `on_call` and `on_stop`. What is told before `serve` waits.
    """

    def __init__(self, robot: RobotPort, show: Callable[[str, str], None]) -> None:
        self._controller = RobotController(robot, self, show)
        self._notes: asyncio.Queue[tuple[str, bool]] = asyncio.Queue()
        self._conversation: ConversationDriver | None = None
        """None until it is served: what is told before waits."""
        self.called = self._controller.called

    @property
    def tools(self) -> list[Tool]:
        """What the model may call now."""
        return self._controller.tools

    @property
    def words(self) -> str:
        """Sentences with the names that a user may say to this robot."""
        return self._controller.words

    @property
    def idle(self) -> bool:
        """Whether the robot has nothing to do, and nothing about it is left to tell or to ask."""
        return self._controller.idle and self._notes.empty()

    @property
    def question(self) -> Question | None:
        """What waits for the user's yes."""
        return self._controller.question

    @property
    def proposal(self) -> Proposal | None:
        """What the user was asked to confirm."""
        return self._controller.proposal

    @property
    def doubt(self) -> Doubt | None:
        """The place that the user was asked for."""
        return self._controller.doubt

    def speak(self, language: Language) -> None:
        """Speak of the robot in a language."""
        self._controller.language = language

    def heard(self, words: Words) -> str | None:
        """Take a whole turn of the user; give what is to be answered, if anything is."""
        return self._controller.heard(words.committed, words.confidence, words.other)

    def stop(self, phrase: str) -> None:
        """Stop the robot: the user said so."""
        self._controller.stop(f"the user said {phrase!r}")

    def pressed(self) -> None:
        """Stop the robot: a key was pressed."""
        self._controller.stop("a key was pressed")

    def note(self, text: str, *, unprompted: bool) -> None:
        """Tell the conversation; it may be busy, so that this waits in line."""
        self._notes.put_nowait((text, unprompted))

    def announce(self, text: str) -> None:
        """Have it spoken."""
        if self._conversation is not None:
            self._conversation.announce(text)

    async def serve(self, conversation: ConversationDriver) -> None:
        """Tell the conversation what happens to the robot, for ever."""
        self._conversation = conversation
        async with asyncio.TaskGroup() as group:
            group.create_task(self._controller.follow(), name="robot events")
            while True:
                text, unprompted = await self._notes.get()
                await conversation.note(text, unprompted=unprompted)
