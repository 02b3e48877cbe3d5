from __future__ import annotations

import pytest

from agent.conversation.options import TurnOptions
from audio.hearing.stop_phrases import StopPhrases

PHRASES = StopPhrases(TurnOptions().stop_phrases)


@pytest.mark.parametrize(
    "text",
    [
        *("stop", "Stop!", "STOP.", "stop stop stop", "No, stop!", "Robot stop", "please stop now", "Stop it."),
        *("could you please stop", "Stop the robot right there at the door", "Wait. Stop!", "I am late, stop"),
        *("make that stop", "the robot stop", "you stop", "It's okay. Stop!", "will it, stop!"),
        *("robot stop robot stop robot", "the robot stop robot stop the robot"),
        *("Halt!", "be quiet", "Be quiet, please.", "Arrête !", "¡Para!", "stopp", "okay, shut up"),
    ],
)
def test_commands(text: str) -> None:
    assert PHRASES.command(text)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "stopped",
            "nonstop",
            "unstoppable",
            "Where is the bus stop?",
            "Don't stop.",
            "never stop",
            "do not stop",
        ),
        *("How long is the train going to stop here", "the next one has a parachute", "What is a paragraph?"),
        *(
            "The parade was loud and long",
            "I can't stop",
            "It was quiet",
            "Next stop.",
            "the stop",
            "A full stop.",
            "he had to be quiet about it all day",
        ),
        *("It stop raining.", "It's stop working", "he has stop", "They stop there", "I never stop.", "She halt."),
    ],
)
def test_no_commands(text: str) -> None:
    assert not PHRASES.command(text)


@pytest.mark.parametrize(
    ("text", "alone"),
    [
        *(("Stop!", True), ("No, stop. Please, stop it now.", True), ("robot stop", True), ("", False), ("no", False)),
        *(("Stop. How far is it?", False), ("Stop by the kitchen and bring a cup", False), ("What is it?", False)),
    ],
)
def test_what_says_no_more_than_to_stop(text: str, *, alone: bool) -> None:
    assert PHRASES.nothing_else(text) == alone


def test_each_command_counts() -> None:
    assert [command.phrase for command in PHRASES.heard("Stop. Stop! What? Halt!")] == ["stop", "stop", "halt"]


@pytest.mark.parametrize(
    ("text", "heads"),
    [("No, stop it!", True), ("oh please stop", True), ("the rain stop", False)],
)
def test_what_stands_before_a_command_in_its_clause_is_told(text: str, *, heads: bool) -> None:
    command = PHRASES.command(text)
    assert command is not None
    assert command.heads == heads
