"""What a session offers to a robot: words past the model, and turns that are not the model's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.conversation.timeline import AudioOut, TurnEnded
from reasoning.loop.loop import Loop
from tests.agent.conversation.test_driver import ASK, SAID, world

if TYPE_CHECKING:
    from audio.messages import Words


async def test_a_turn_that_was_meant_for_the_robot_gets_no_reply() -> None:
    turns: list[str] = []

    def taken(words: Words) -> None:
        turns.append(words.committed)

    async with world() as one:
        one.driver._replies._on_turn = taken
        await one.say(ASK)
        await one.wait(lambda: bool(one.of(TurnEnded)))
        await one.hear(0.0, 8.0)
        assert turns == [SAID[ASK]]
        assert one.heard == []
        assert one.driver.idle


async def test_the_next_turn_is_answered_as_ever() -> None:
    mine = [True, False]
    async with world() as one:
        one.driver._replies._on_turn = lambda words: None if mine.pop(0) else words.committed
        await one.say(ASK)
        await one.wait(lambda: len(mine) == 1)
        await one.hear(0.0, 2.0)
        await one.say(ASK)
        await one.wait(lambda: not mine)
        await one.reply()
        assert one.heard


async def test_what_is_asked_back_instead_of_a_reply_is_heard() -> None:
    async with world() as one:

        def ask(_: Words) -> None:
            one.driver.announce("Do you mean the hall?")

        one.driver._replies._on_turn = ask
        await one.say(ASK)
        await one.wait(lambda: bool(one.of(TurnEnded)))
        await one.hear(0.0, 8.0)
        assert one.heard == ["Do you mean the hall?"]
        assert one.driver.idle


async def test_a_turn_that_is_put_otherwise_is_answered_as_it_is_meant() -> None:
    async with world() as one:
        one.driver._replies._on_turn = lambda _: "What is 4 times 8?"
        await one.say(ASK)
        await one.reply()
        assert one.heard
        assert isinstance(one.reasoner._loop, Loop)
        assert one.reasoner._loop._context.told == "What is 4 times 8?"


async def test_what_a_robots_state_says_is_spoken_word_by_word_without_the_model() -> None:
    async with world() as one:
        steps = one.engine.steps
        one.driver.announce("R1 has stopped.")
        assert not one.driver.idle
        await one.wait(lambda: bool(one.of(AudioOut)))
        await one.reply()
        assert one.heard == ["R1 has stopped."]
        assert one.engine.steps == steps


async def test_an_announcement_waits_for_the_reply_that_is_being_heard() -> None:
    async with world() as one:
        await one.say(ASK)
        await one.wait(lambda: bool(one.heard))
        one.driver.announce("R1 is paused.")
        await one.reply()
        assert one.heard[0] != "R1 is paused."
        assert "R1 is paused." in one.heard
