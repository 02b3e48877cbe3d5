"""What must not be done on a plain reading, in three languages: said otherwise than it is meant, or not to be done."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from agent.robot.proposal import plan
from agent.robot.reading import read
from languages.known import language_of
from tests.agent.standing_robot import standing_robot

ROBOT = standing_robot()
PLACES = {
    "en": tuple(ROBOT.site.places),
    "de": ("küche", "halle", "schreibtisch", "tür", "zuhause"),
    "es": ("cocina", "sala", "escritorio", "puerta", "casa"),
}
_DATA = tomllib.loads(Path(__file__).with_name("wrongly.toml").read_text(encoding="utf-8"))
OPEN, PLAIN, TURNS = _DATA["open"], _DATA["plain"], _DATA["turns"]


@pytest.mark.parametrize(
    ("code", "text"),
    [(code, text) for code, kinds in OPEN.items() for texts in kinds.values() for text in texts],
)
def test_it_is_not_carried_out_on_its_words_alone(code: str, text: str) -> None:
    assert not read(text, ROBOT.skills, PLACES[code], language_of(code)).whole


@pytest.mark.parametrize("code", PLAIN)
def test_a_word_that_turns_it_round_anywhere_makes_it_uncertain(code: str) -> None:
    for text in PLAIN[code]:
        assert plan(text, ROBOT.skills, PLACES[code], language_of(code)).certain
        words = text.split()
        for turn in TURNS[code]:
            for at in range(len(words) + 1):
                turned = " ".join((*words[:at], turn, *words[at:]))
                assert not plan(turned, ROBOT.skills, PLACES[code], language_of(code)).certain, turned


@pytest.mark.parametrize(("code", "text"), [("en", "Leave it."), ("es", "Déjalo.")])
def test_what_takes_something_back_is_no_order(code: str, text: str) -> None:
    assert not plan(text, ROBOT.skills, PLACES[code], language_of(code)).certain


@pytest.mark.parametrize(
    ("code", "text", "asked"),
    [
        ("en", "Drop the box off in the hall.", [("drop", "hall")]),
        ("en", "Take the box off the desk to the hall.", [("pick", "desk"), ("drop", "hall")]),
        ("en", "Set off to the kitchen.", [("go_to", "kitchen")]),
        ("en", "Would you mind going to the kitchen?", [("go_to", "kitchen")]),
        ("en", "Kitchen first, and the hall after that.", [("go_to", "kitchen"), ("go_to", "hall")]),
        ("en", "Bring this home.", [("pick", "here"), ("drop", "home")]),
        (
            "en",
            "Pick up this box, drive it to the hall and leave it there.",
            [("pick", "here"), ("go_to", "hall"), ("drop", "hall")],
        ),
        ("en", "Wait in the hall for twenty-five seconds.", [("wait", "hall", 25.0)]),
        ("de", "Fahren Sie bitte zur Tür und warten Sie dort vier Sekunden.", [("go_to", "tür"), ("wait", "tür", 4.0)]),
        ("es", "Ve a la cocina y por último a casa.", [("go_to", "cocina"), ("go_to", "casa")]),
    ],
)  # fmt: skip
def test_what_only_looks_like_it_is_carried_out(code: str, text: str, asked: list[tuple[object, ...]]) -> None:
    made = read(text, ROBOT.skills, PLACES[code], language_of(code))
    assert [(step.skill, *step.arguments.values()) for step in made.steps] == asked
    assert made.whole
