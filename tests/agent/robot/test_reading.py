from __future__ import annotations

from dataclasses import replace

import pytest

from agent.robot.reading import Reading, read
from languages.english import ENGLISH
from tests.agent.standing_robot import standing_robot

ROBOT = standing_robot()


def reading(text: str) -> Reading:
    return read(text, ROBOT.skills, ROBOT.site.places, ENGLISH)


def steps(text: str) -> list[tuple[object, ...]]:
    return [(step.skill, *step.arguments.values()) for step in reading(text).steps]


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("Go to the kitchen.", [("go_to", "kitchen")]),
        ("Kitchen, please!", [("go_to", "kitchen")]),
        ("Could you drive over to the hall and come back home?", [("go_to", "hall"), ("go_to", "home")]),
        (
            "Go to the hall, wait there for 4 seconds, then go home.",
            [("go_to", "hall"), ("wait", "hall", 4.0), ("go_to", "home")],
        ),
        ("Wait here for twenty five seconds.", [("wait", "here", 25.0)]),
        ("Bring the box from the hall to the desk.", [("pick", "hall"), ("drop", "desk")]),
        ("Bring this to the desk and put it down there.", [("pick", "here"), ("drop", "desk")]),
        ("Pick up the load at the desk and take it to the hall.", [("pick", "desk"), ("drop", "hall")]),
        ("Go home and charge.", [("go_to", "home"), ("dock", "home")]),
        ("Go to x three, y one point five.", [("go_to_pose", 3.0, 1.5)]),
        ("Drive to the hall and wave to the guests.", [("go_to", "hall"), ("wave",)]),
    ],
)  # fmt: skip
def test_a_plain_request_is_read_whole(text: str, asked: list[tuple[object, ...]]) -> None:
    assert steps(text) == asked
    assert reading(text).whole


@pytest.mark.parametrize(
    "text",
    [
        "Go to the kitchen, but only if it is open.",
        "Don't go to the kitchen.",
        "Is the kitchen tidy?",
        "The desk is in the kitchen.",
        "Our guests come to the kitchen.",
        "Go to the kitchen or to the hall.",
        "Before you go to the hall, drive to the desk.",
        "Wait in the hall.",
        "Wait in the hall for four.",
        "Wait four seconds five seconds.",
        "Go to x three.",
        "Go to x three, x four.",
        "Go there.",
        "Bring it back.",
        "Bring it from the hall.",
        "Look to the left.",
        "Charge, go home and dock.",
        "Go home in four seconds.",
        "Stop.",
        "",
    ],
)
def test_what_leaves_something_open_is_not_whole(text: str) -> None:
    assert not reading(text).whole


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("Drive to the hall, then wait for seconds.", [("go_to", "hall"), ("wait", "hall", 4.0)]),
        ("Go to x to, y three.", [("go_to_pose", 2.0, 3.0)]),
    ],
)
def test_what_sounds_like_a_number_is_read_as_one_and_not_believed(text: str, asked: list[tuple[object, ...]]) -> None:
    assert steps(text) == asked
    assert reading(text).ordered
    assert not reading(text).whole


def test_an_order_is_told_from_a_question_and_a_story() -> None:
    assert reading("Please go to the hall if you like.").ordered
    assert not reading("They go to the hall.").ordered
    assert not reading("Is the hall tidy?").ordered


def test_places_to_choose_from_and_none_at_all_are_told() -> None:
    assert reading("Go to the hall or the desk.").either == ("hall", "desk")
    assert reading("Go to the garden.").nowhere
    assert not reading("Go to the hall.").nowhere


def test_the_words_that_matter_say_what_where_and_how_long() -> None:
    assert reading("Please wait in the hall for nine seconds.").matter == {"wait", "hall", "nine"}


def test_a_place_is_said_as_its_name_is_spoken() -> None:
    made = read("Go to the front door, then to room 2.", ROBOT.skills, ("front_door", "room-2"), ENGLISH)
    assert [step.arguments["place"] for step in made.steps] == ["front_door", "room-2"]
    assert made.whole


def test_without_words_of_its_language_nothing_is_read() -> None:
    bare = replace(ENGLISH, commands=None)
    assert not read("Go to the hall.", ROBOT.skills, ROBOT.site.places, bare).steps
