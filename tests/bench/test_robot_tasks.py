from __future__ import annotations

from bench.robot.judging import happenings
from bench.robot.spoken import phrased_tasks
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
    test, develop = phrased_tasks("test"), phrased_tasks("develop")
    assert len(test) == 30
    assert not {item.say.lower() for item in test} & {item.say.lower() for item in develop}
    assert len(phrased_tasks("test", [0])) == 10


def test_every_place_of_a_task_is_on_the_map() -> None:
    places = Site.load(EXAMPLE_MAP).places
    for item in phrased_tasks("test"):
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
    truths = {item.truth for item in phrased_tasks("test") if item.truth[1:] and item.truth[1].startswith("wait")}
    assert truths == {("at hall", "wait 6"), ("at hall", "wait 9"), ("at hall", "wait 5")}
