from __future__ import annotations

import pytest

from agent.robot import misheard
from bench.robot.tasks import _without_questions, happenings, items, judge, reply_to
from robots.protocols.vda5050.messages import (
    Action,
    ActionParameter,
    ActionState,
    ActionStatus,
    BlockingType,
    InstantActions,
    Message,
    State,
)
from robots.safety.gate import Question
from robots.simulator.run import EXAMPLE_MAP
from robots.site import Site
from tests.robots.test_gate import STATE


def at(x: float, y: float, *, driving: bool = False, finished: str = "") -> State:
    assert STATE.agv_position is not None
    done = (ActionState(action_id=finished, action_status=ActionStatus.FINISHED),) if finished else ()
    return STATE.model_copy(
        update={
            "agv_position": STATE.agv_position.model_copy(update={"x": x, "y": y}),
            "driving": driving,
            "action_states": done,
        }
    )


def test_there_are_ten_tasks_of_three_phrasings_and_nobody_tunes_on_them() -> None:
    test, develop = items("test"), items("develop")
    assert len(test) == 30
    assert len({item.task for item in test}) == 10
    assert not {item.request.lower() for item in test} & {item.request.lower() for item in develop}
    assert len(items("test", [0])) == 10


def test_every_place_of_a_task_is_on_the_map() -> None:
    places = Site.load(EXAMPLE_MAP).places
    for item in items("test"):
        assert item.start in places
        assert all(truth.removeprefix("at ") in places for truth in item.truth if truth.startswith("at "))


def test_what_happened_is_where_it_stood_and_what_it_finished_in_order() -> None:
    action = Action(action_type="wave", action_id="e1-c", blocking_type=BlockingType.NONE)
    wave = InstantActions(actions=(action,))
    states: list[Message] = [
        at(1, 1),
        at(3, 1.3, driving=True),
        at(6, 1.5),
        wave,
        at(6, 1.5, finished="e1-c"),
        at(1, 1, driving=True),
    ]
    assert happenings(states, "home", []) == ("at hall", "wave")
    assert happenings([*states, at(1.1, 1)], "home", []) == ("at hall", "wave", "at home")
    assert happenings([at(1, 1)], "home", []) == ()
    assert happenings([at(1, 1), at(2, 1, driving=True)], "home", []) == ("moved",)
    assert happenings([at(3, 1.4)], "home", ["pose 3 1.5"]) == ("pose 3 1.5",)


def test_an_action_is_judged_with_its_numbers() -> None:
    seconds = ActionParameter(key="seconds", value=5)
    wait = Action(action_type="wait", action_id="e1-c", blocking_type=BlockingType.HARD, action_parameters=(seconds,))
    assert happenings([InstantActions(actions=(wait,)), at(1, 1, finished="e1-c")], "home", []) == ("wait 5",)
    truths = {item.truth for item in items("test") if item.task == "wait"}
    assert truths == {("at hall", "wait 6"), ("at hall", "wait 9"), ("at hall", "wait 5")}


def test_a_question_of_the_gate_is_no_excuse() -> None:
    said = _without_questions("Shall R1 pick here? I am on my way.", ["asks: Shall R1 pick here?", "admitted"])
    assert said.strip() == "I am on my way."


def test_the_user_tells_the_truth_about_a_place_and_says_yes_to_the_gate() -> None:
    doubt = misheard.doubt("Go to the hole.", ("hall",))
    assert doubt is not None
    assert reply_to(doubt, "Go to the hall.") == "Yes."
    assert reply_to(doubt, "Go to the pole.") == "No."
    assert reply_to(Question("q", 0.0), "Pick it up.") == "Yes."


@pytest.mark.parametrize(
    ("truth", "happened", "said", "outcome"),
    [
        (["at hall"], ["at hall"], "On my way.", "done"),
        (["at hall"], [], "Which hall do you mean?", "refused"),
        (["at hall"], [], "I am in the hall now.", "wrong"),
        (["at hall", "at home"], ["at hall"], "I cannot go home.", "refused"),
        (["at hall"], ["at desk"], "Sorry, I cannot.", "wrong"),
        ([], [], "I cannot go there.", "done"),
        ([], [], "On my way!", "wrong"),
        ([], ["moved"], "Sorry.", "wrong"),
    ],
)
def test_a_failure_is_open_only_when_nothing_wrong_was_done_and_the_reply_says_so(
    truth: list[str], happened: list[str], said: str, outcome: str
) -> None:
    assert judge(truth, happened, said) == outcome
