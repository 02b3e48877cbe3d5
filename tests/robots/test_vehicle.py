"""The simulated robot by the letter of the specification, without the commander."""

from __future__ import annotations

import math
from datetime import timedelta
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING

import pytest

from robots.errors import BadSetting
from robots.protocols.vda5050.codec import DIALECTS, Address, HeaderCounter, topic_of
from robots.protocols.vda5050.messages import (
    Action,
    ActionParameter,
    ActionStatus,
    BlockingType,
    Factsheet,
    InstantActions,
    Message,
    Order,
    State,
)
from robots.protocols.vda5050.orders import message_of
from robots.simulator.body import VehicleBody
from robots.simulator.drawing import _TEXT, draw_run
from robots.simulator.faults import Channel, Mishap, Network, read_faults
from robots.simulator.simulation import TrailPoint
from robots.simulator.vehicle import MAX_AGE_S, Vehicle
from tests.robots.stage.rig import BEGUN, HOUSE
from tests.robots.test_gate import release


def route(ticket: str, *points: tuple[float, float], free: int = 99) -> Order:
    order = message_of(release(ticket, *points, free=free))
    assert isinstance(order, Order)
    return order


if TYPE_CHECKING:
    from pathlib import Path

CODEC = DIALECTS["2.1"]


class Bench:
    """A vehicle, a clock and a header counter."""

    def __init__(self) -> None:
        self.now = 0.0
        self.vehicle = Vehicle("ground", lambda: BEGUN + timedelta(seconds=self.now), VehicleBody(1.0, 1.0))
        self.headers = HeaderCounter()

    def send(self, message: Order | InstantActions, *, age: float = 0.0, header: int | None = None) -> None:
        topic = topic_of(message)
        written = BEGUN + timedelta(seconds=self.now - age)
        number = self.headers.take(topic) if header is None else header
        payload = CODEC.encode(message, Address("a", "b"), number, written)
        self.vehicle.receive(topic, payload, self.now)

    def instant(self, kind: str, action_id: str, *, age: float = 0.0, header: int | None = None) -> None:
        action = Action(action_type=kind, action_id=action_id, blocking_type=BlockingType.HARD)
        self.send(InstantActions(actions=(action,)), age=age, header=header)

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.05)):
            self.now += 0.05
            self.vehicle.tick(self.now)

    @property
    def state(self) -> State:
        return self.vehicle.state()

    def errors(self) -> list[str]:
        return [error.error_type for error in self.state.errors]


def act(kind: str, action_id: str, blocking: BlockingType, **parameters: float) -> Action:
    return Action(
        action_type=kind,
        action_id=action_id,
        blocking_type=blocking,
        action_parameters=tuple(ActionParameter(key=k, value=v) for k, v in parameters.items()),
    )


def with_actions(message: Order, *actions: Action) -> Order:
    last = message.nodes[-1].model_copy(update={"actions": actions})
    return message.model_copy(update={"nodes": (*message.nodes[:-1], last)})


def test_it_drives_the_base_waits_and_drives_the_stitched_rest() -> None:
    bench = Bench()
    bench.send(route("o", (1, 1), (2, 1), (3, 1), free=2))
    bench.run(8)
    assert bench.vehicle.body.x == pytest.approx(2, abs=0.03)
    assert [n.node_id for n in bench.state.node_states] == ["n2"]
    assert bench.state.last_node_id == "n1"
    whole = route("o", (1, 1), (2, 1), (3, 1))
    update = whole.model_copy(update={"order_update_id": 1, "nodes": whole.nodes[1:], "edges": whole.edges[1:]})
    bench.send(update)
    bench.run(8)
    assert bench.vehicle.body.x == pytest.approx(3, abs=0.03)
    assert not bench.state.busy


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (route("p", (4, 1), (5, 1)), "noRouteError"),
        (with_actions(route("p", (1, 1), (2, 1)), act("fly", "x", BlockingType.NONE)), "orderError"),
        (route("p", (1, 1), (2, 1)).model_copy(update={"edges": ()}), "validationError"),
    ],
)
def test_orders_are_refused_with_their_reasons(message: Order, error: str) -> None:
    bench = Bench()
    bench.send(message)
    assert bench.errors() == [error]
    assert bench.state.errors[0].error_references is not None
    assert {r.reference_key for r in bench.state.errors[0].error_references} == {"orderId", "orderUpdateId", "headerId"}
    bench.send(route("good", (1, 1), (2, 1)))
    assert bench.errors() == []


def test_a_second_order_a_wrong_stitch_and_a_late_update_are_refused() -> None:
    bench = Bench()
    bench.send(route("o", (1, 1), (2, 1)).model_copy(update={"order_update_id": 2}))
    bench.send(route("other", (1, 1), (2, 1)))
    assert bench.errors() == ["orderError"]
    bench.send(route("o", (9, 9), (2, 1)).model_copy(update={"order_update_id": 3}))
    bench.send(route("o", (1, 1), (2, 1)).model_copy(update={"order_update_id": 1}))
    assert bench.errors() == ["orderError", "orderUpdateError", "orderUpdateError"]
    bench.send(route("o", (5, 5), (2, 1)).model_copy(update={"order_update_id": 2}))
    assert len(bench.errors()) == 3, "the same update again is ignored"
    assert bench.state.order_id == "o"


def test_old_overtaken_and_repeated_commands_do_nothing_but_stops_always_count() -> None:
    bench = Bench()
    bench.instant("stateRequest", "r0", header=7)
    bench.send(route("old", (1, 1), (2, 1)), age=MAX_AGE_S + 1)
    assert bench.state.order_id == ""
    bench.send(route("o", (1, 1), (3, 1)))
    bench.run(2)
    bench.instant("startPause", "p", age=1000, header=3)
    bench.run(2)
    assert bench.state.paused
    bench.instant("stopPause", "late", age=4.5, header=5)
    assert bench.state.action("late") is ActionStatus.FAILED
    bench.instant("stopPause", "u", header=8)
    bench.instant("startPause", "p", header=9)
    assert not bench.vehicle.pausing, "a repeated id is not carried out again"


def test_pause_is_confirmed_by_a_standing_robot_and_can_be_ended() -> None:
    bench = Bench()
    bench.send(route("o", (1, 1), (3, 1)))
    bench.run(2)
    bench.instant("startPause", "p")
    assert bench.state.action("p") is ActionStatus.RUNNING
    assert not bench.state.paused
    bench.run(1)
    assert bench.state.action("p") is ActionStatus.FINISHED
    assert (bench.state.paused, bench.state.driving) == (True, False)
    bench.instant("stopPause", "u")
    bench.run(6)
    assert bench.vehicle.body.x == pytest.approx(3, abs=0.03)


def test_cancel_ends_what_can_be_ended_and_waits_for_the_rest() -> None:
    bench = Bench()
    bench.instant("cancelOrder", "c0")
    assert bench.state.action("c0") is ActionStatus.FAILED
    assert bench.errors() == ["noOrderToCancel"]
    bench.send(
        with_actions(
            route("o", (1, 1), (1.2, 1)), act("pick", "a", BlockingType.HARD), act("wave", "b", BlockingType.NONE)
        )
    )
    assert bench.errors()[1:] == ["orderError"], "wave is no action for nodes"
    bench.send(
        with_actions(
            route("o", (1, 1), (1.2, 1)), act("pick", "a", BlockingType.HARD), act("drop", "b", BlockingType.HARD)
        )
    )
    bench.run(2.5)
    assert bench.state.action("a") is ActionStatus.RUNNING
    bench.instant("startPause", "p")
    bench.instant("cancelOrder", "c")
    bench.run(0.5)
    assert bench.state.action("b") is ActionStatus.FAILED
    assert bench.state.action("c") is ActionStatus.RUNNING, "a pick cannot be interrupted"
    bench.run(4)
    assert bench.state.action("a") is ActionStatus.FINISHED
    assert bench.state.action("c") is ActionStatus.FINISHED
    assert not bench.state.node_states
    assert bench.state.order_id == "o", "ids are kept"
    assert bench.state.loads


def test_blocking_types() -> None:
    def bench(blocking: BlockingType) -> Bench:
        made = Bench()
        whole = route("o", (1, 1), (2, 1))
        first = whole.nodes[0].model_copy(update={"actions": (act("wait", "w", blocking, seconds=2.0),)})
        made.send(whole.model_copy(update={"nodes": (first, *whole.nodes[1:])}))
        made.run(1)
        return made

    assert bench(BlockingType.NONE).vehicle.body.moving
    assert not bench(BlockingType.SOFT).vehicle.body.moving
    assert not bench(BlockingType.HARD).vehicle.body.moving


def test_it_reports_on_events_and_at_least_every_thirty_seconds() -> None:
    bench = Bench()
    bench.vehicle.announce()
    kinds: list[type[Message]] = [type(message) for message in bench.vehicle.outbox]
    assert Factsheet in kinds
    bench.vehicle.outbox.clear()
    times = []
    for _ in range(1300):
        bench.run(0.05)
        times += [bench.now for message in bench.vehicle.outbox if isinstance(message, State)]
        bench.vehicle.outbox.clear()
    assert len(times) == 2
    assert times[1] - times[0] == pytest.approx(30, abs=0.2)


def test_the_body_keeps_its_limits_and_stops_at_its_goal() -> None:
    body = VehicleBody(0, 0, math.pi)
    speeds = []
    for _ in range(400):
        body.towards((2, 0), 0.5, math.dist(body.position, (2, 0)), 0.05)
        speeds.append(body.speed)
    assert max(speeds) == pytest.approx(0.5)
    assert max(b - a for a, b in pairwise(speeds)) <= body.acceleration * 0.05 + 1e-9
    assert body.x == pytest.approx(2, abs=0.02)


def test_faults_are_read_and_wrong_ones_are_named() -> None:
    network, mishaps = read_faults(["drop=0.1", "delay=2", "kill@20=2", "freeze@1.5=3"])
    assert network == Network(drop=0.1, delay=2.0)
    assert [m.kind for m in mishaps] == ["freeze", "kill"]
    assert mishaps[0] == Mishap("freeze", 1.5, 3.0)
    for wrong in ("drop", "drop=2", "drop@3=1", "kill=3", "rain@1=1", "delay=-1"):
        with pytest.raises(BadSetting, match="fault"):
            read_faults([wrong])


def test_a_channel_without_faults_keeps_order_and_time() -> None:
    channel: Channel[int] = Channel(Network(), Random(1))
    for k in range(5):
        channel.push(k, 1.0)
    assert channel.pop(0.9) == []
    assert channel.pop(1.0) == [0, 1, 2, 3, 4]


def test_a_run_is_drawn(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    trail = [TrailPoint(k * 0.2, (1 + k * 0.1, 1.0), 0.0, 0.5, k > 20) for k in range(30)]
    draw_run(HOUSE, trail, tmp_path / "run.png")
    draw_run(HOUSE, trail, tmp_path / "run.gif")
    with image.open(tmp_path / "run.png") as png, image.open(tmp_path / "run.gif") as gif:
        assert png.width == gif.width
        assert len(png.convert("RGB").getcolors(1 << 24)) > 10
        assert gif.n_frames > 20
    draw_run(HOUSE, [], tmp_path / "empty.gif")
    with pytest.raises(BadSetting, match="png"):
        draw_run(HOUSE, trail, tmp_path / "run.bmp")


def test_the_label_of_a_stop_does_not_cover_the_name_of_a_place(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    x, y = HOUSE.places["kitchen"].point
    below = (x, y - 0.4)

    def name_pixels(*, held: bool) -> set[tuple[int, int]]:
        spots = [((8.0, 4.0), False), *([(below, held)] * 2), ((8.0, 4.0), False)]
        trail = [TrailPoint(float(k), spot, 0.0, 0.5, now_held) for k, (spot, now_held) in enumerate(spots)]
        draw_run(HOUSE, trail, tmp_path / "run.png")
        with image.open(tmp_path / "run.png") as picture:
            pixels = picture.convert("RGB").load()
            return {(x, y) for x in range(picture.width) for y in range(picture.height) if pixels[x, y] == _TEXT}

    assert name_pixels(held=False) == name_pixels(held=True)
