from __future__ import annotations

import pytest

from agent.robot.misheard import UNSURE, alike, doubt
from languages.known import language_of

PLACES = ("desk", "hall", "home", "kitchen", "living room")


@pytest.mark.parametrize(
    ("heard", "name", "mended"),
    [
        ("Go to the hole.", "hall", "Go to the hall."),
        ("All, please, and wait seven seconds there.", "hall", "hall, please, and wait seven seconds there."),
        ("Desk first, all second.", "hall", "Desk first, hall second."),
        ("Go to the disc and pick it up", "desk", "Go to the desk and pick it up"),
        ("Drive hum, then stay.", "home", "Drive home, then stay."),
        ("To the leaving room, please", "living room", "To the living room, please"),
    ],
)
def test_a_word_that_sounds_like_a_place_where_a_place_stands_is_doubtful(heard: str, name: str, mended: str) -> None:
    found = doubt(heard, PLACES)
    assert found is not None
    assert (found.name, found.mended(found.name), found.otherwise) == (name, mended, heard)
    assert found.question(PLACES) == f"Do you mean the {name}?"
    again = doubt(found.mended(found.name), PLACES)
    assert again is None or again.name != name


@pytest.mark.parametrize(
    "heard",
    [
        *("Hello.", "Hi, wave to me!", "Well, go to the kitchen.", "That's all.", "Wave to all of them."),
        *("Pick up all the boxes.", "Go to the garden.", "There is a box at the desk.", "What can you do?"),
        *("Go home and dock.", "Wait for four seconds.", "Take this to the living room.", ""),
    ],
)
def test_ordinary_words_are_not_doubtful(heard: str) -> None:
    assert doubt(heard, PLACES) is None


def test_the_name_of_a_skill_is_no_misheard_place() -> None:
    assert doubt("Go home, and onto the dock.", ("door", "home")) is not None
    assert doubt("Go home, and onto the dock.", ("door", "home"), ordinary=("dock",)) is None


def test_a_place_that_the_ears_are_unsure_of_is_doubtful_and_no_other_word() -> None:
    low, high = UNSURE - 0.01, UNSURE
    found = doubt("Go to the kitchen hall.", PLACES, (1.0, 1.0, 1.0, 1.0, low))
    assert found is not None
    assert (found.name, found.otherwise, found.mended("desk")) == ("hall", "", "Go to the kitchen desk.")
    assert doubt("Go to the kitchen hall.", PLACES, (low, low, low, high, high)) is None
    assert doubt("Go to the kitchen and wait", PLACES, (low,)) is None, "confidences are those of the last words"


def test_a_place_that_only_the_other_transcript_has_is_doubtful() -> None:
    found = doubt("Oh now, and onto the dock.", PLACES, other="Home now and onto the dock.")
    assert found is not None
    assert (found.name, found.mended("home")) == ("home", "home now and onto the dock.")
    assert (found.mended("desk"), found.otherwise) == ("desk now and onto the dock.", "Oh now, and onto the dock.")
    both = doubt("Go to the neck and to the oil", PLACES, other="Go to the desk, enter the hall")
    assert both is not None
    assert both.question(PLACES) == "Do you mean the desk and the hall?"
    assert doubt("Go home.", PLACES, other="Go phone.") is None
    assert doubt("Go home now.", PLACES, other="Go to home now.") is None


def test_there_is_doubtful_where_no_place_was_named() -> None:
    found = doubt("Wait there for three seconds.", ("hall", "desk"))
    assert found is not None
    assert found.question(("hall", "desk")) == "Where do you mean: the desk or the hall?"
    assert found.mended("hall") == "Wait in the hall for three seconds."
    assert doubt("Go to the hall and wait there.", PLACES) is None
    assert doubt("Wait there.", PLACES, known=True) is None
    assert doubt("Pick up the box over there.", PLACES) is None


def test_names_that_sound_alike_are_found() -> None:
    assert alike({"hall", "hole", "kitchen", "home"}) == [("hall", "hole")]
    assert alike({"halle", "küche", "laden", "loden"}, language_of("de")) == [("laden", "loden")]
    assert alike({"room 2", "room two", "room_3"}) == [("room 2", "room two")]
    assert alike({"desk", "hall", "home", "kitchen", "room 2", "room 3"}) == []
