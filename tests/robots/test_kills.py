"""Broker, commander and robot are killed and frozen in the middle of a drive; counted on the wire and in the robot's
states."""

from __future__ import annotations

import asyncio
import signal
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from robots.events import Happening
from robots.lease import leased
from tests.robots.stage.live import Message, commanding, options_of, program, simulator, until, watching
from tests.robots.stage.words import reported

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.robots.stage.live import Commander
    from tests.robots.stage.mosquitto import Mosquitto

pytestmark = pytest.mark.broker

FROZEN_S = 2.0
"""Within this time a frozen commander is noticed."""
BRAKING_S = 1.0
"""From full speed to standing, and a round trip."""


def driving(message: Message) -> bool:
    return message.kind == "state" and message.body["driving"] and message.body["velocity"]["vx"] > 0.3


def paused(message: Message) -> bool:
    return message.kind == "state" and bool(message.body["paused"]) and not message.body["driving"]


def pauses(message: Message) -> bool:
    return message.kind == "instantActions" and message.body["actions"][0]["actionType"] == "startPause"


def will(message: Message, action_type: str) -> bool:
    """Whether this is of a commander's last will or of its warden."""
    actions = message.body.get("actions", [{}])
    return (
        message.kind == "instantActions"
        and actions[0]["actionType"] == action_type
        and actions[0]["actionId"].startswith("will-")
    )


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "frozen"])
async def test_the_robot_pauses_when_its_commander_is_gone(mosquitto: Mosquitto, how: int) -> None:
    async with watching(mosquitto) as watcher:
        with (
            simulator(mosquitto),
            program("tests.robots.stage.live", str(mosquitto.port), str(mosquitto.folder)) as commander,
        ):
            await watcher.until(lambda m: will(m, "stateRequest"))
            await watcher.until(driving)
            commander.send_signal(how)
            gone = time.monotonic()
            noticed = await watcher.until(lambda m: will(m, "startPause"), after=gone)
            standing = await watcher.until(paused, after=gone)
        moved = [m.at - gone for m in watcher.of("state") if m.at > gone and m.body["driving"]]
    print(
        f"commander {signal.Signals(how).name}: pause after {noticed.at - gone:.2f} s, "
        f"moved until {max(moved, default=0):.2f} s"
    )
    # A dead one is noticed by the broker, a frozen one by its warden: the broker would take eight seconds.
    assert noticed.at - gone <= (FROZEN_S if how == signal.SIGSTOP else 0.5)
    assert standing.at - noticed.at <= BRAKING_S
    assert max(moved, default=0) <= FROZEN_S + BRAKING_S
    way = standing.body["agvPosition"]["x"] - 1
    assert way < 9


async def test_after_the_broker_was_killed_nothing_moves_before_a_confirmed_resume(mosquitto: Mosquitto) -> None:
    with simulator(mosquitto):
        async with commanding(mosquitto.as_user("agent"), mosquitto.folder) as commander:
            async with watching(mosquitto) as watcher:
                await commander.ready()
                commander.call("go_to", place="hall")
                await watcher.until(driving)
                before = watcher.orders()
                mosquitto.kill()
            await commander.until(Happening.UNKNOWN)
            mosquitto.start()
            back = time.monotonic()
            async with watching(mosquitto) as watcher:
                await watcher.until(paused)
                await commander.until(Happening.HELD)
                print(f"broker back: paused again after {time.monotonic() - back:.2f} s")
                assert watcher.orders() == set()
                await commander.resume()
                done = await commander.until(Happening.DONE)
                assert not watcher.orders() & before, "an update of before the outage was sent again"
                assert done.call is not None
                await watcher.until(lambda m: m.kind == "state" and abs(m.body["agvPosition"]["x"] - 6) < 0.1)


async def test_a_frozen_broker_does_not_deliver_commands_from_the_past(mosquitto: Mosquitto) -> None:
    with simulator(mosquitto):
        async with (
            watching(mosquitto) as watcher,
            commanding(mosquitto.as_user("agent"), mosquitto.folder) as commander,
        ):
            await commander.ready()
            mosquitto.kill(signal.SIGSTOP)
            await until(mosquitto.frozen)
            commander.call("look", angle=0.5)
            commander.call("go_to", place="hall")
            await commander.until(Happening.UNKNOWN)
            mosquitto.kill(signal.SIGCONT)
            thawed = time.monotonic()
            await watcher.until(paused, after=thawed)
            await commander.until(Happening.HELD)
            await commander.round_trip(watcher)
            # The broker delivers what it had in its buffers; the order that was among it releases no way.
            assert all(not edge["released"] for message in watcher.of("order") for edge in message.body["edges"])
            assert "look" not in {a["actionType"] for m in watcher.of("instantActions") for a in m.body["actions"]}
            assert not [message for message in watcher.of("state") if message.at > thawed and message.body["driving"]]
            assert watcher.of("state")[-1].body["agvPosition"]["x"] == pytest.approx(1.0, abs=0.3)


async def test_a_robot_that_was_killed_comes_back_without_its_order_and_gets_none(mosquitto: Mosquitto) -> None:
    async with watching(mosquitto) as watcher, commanding(mosquitto.as_user("agent"), mosquitto.folder) as commander:
        with simulator(mosquitto) as robot:
            await commander.ready()
            commander.call("go_to", place="kitchen")
            await watcher.until(driving)
            robot.kill()
            lost = await commander.until(Happening.UNKNOWN)
            assert "offline" in reported(lost)
            await watcher.until(lambda m: m.body.get("connectionState") == "CONNECTIONBROKEN")
        before = len(watcher.of("order"))
        with simulator(mosquitto):
            failed = await commander.until(Happening.FAILED)
            assert "forgotten" in reported(failed)
            await commander.round_trip(watcher)
            assert len(watcher.of("order")) == before
            assert not watcher.of("state")[-1].body["driving"]


async def test_stop_is_on_the_wire_at_once_and_what_follows_is_driven(mosquitto: Mosquitto) -> None:
    on_the_wire, standing = [], []
    broker = mosquitto.as_user("agent")
    with simulator(mosquitto):
        async with (
            watching(mosquitto) as watcher,
            leased(options_of(broker)) as lease,
            commanding(broker, mosquitto.folder, lease) as commander,
        ):
            await commander.ready()
            await watcher.until(lambda m: will(m, "stateRequest"))
            for _ in range(4):
                began = time.monotonic()
                commander.call("go_to", place="kitchen")
                await watcher.until(driving, after=began)
                said = time.monotonic()
                commander.session.stop("test")
                pause = await watcher.until(
                    lambda m: m.kind == "instantActions" and m.body["actions"][0]["actionType"] == "startPause",
                    after=said,
                )
                still = await watcher.until(lambda m: m.kind == "state" and not m.body["driving"], after=said)
                await commander.until(Happening.STOPPED)
                on_the_wire.append(pause.at - said)
                standing.append(still.at - said)
                await commander.resume()
                await commander.until(Happening.RESUMED)
            # A warden overhears all of it, and leaves it to its commander.
            assert not [m for m in watcher.of("instantActions") if will(m, "startPause") or will(m, "cancelOrder")]
    print(
        f"stop on the wire {[round(1000 * t, 1) for t in on_the_wire]} ms, standing {[round(t, 2) for t in standing]} s"
    )
    assert max(on_the_wire) < 0.2
    assert max(standing) < 1.5


async def test_leaving_ends_soon_though_the_broker_does_not_answer(mosquitto: Mosquitto) -> None:
    async with simulator_and_commander(mosquitto) as commander:
        commander.call("go_to", place="kitchen")
        mosquitto.kill(signal.SIGSTOP)
        leaving = time.monotonic()
    assert time.monotonic() - leaving < 12
    mosquitto.kill(signal.SIGCONT)


async def test_the_simulator_ends_when_told_though_the_broker_is_gone(mosquitto: Mosquitto) -> None:
    with simulator(mosquitto) as robot:
        async with watching(mosquitto) as watcher:
            await watcher.until(lambda m: m.kind == "state")
        mosquitto.kill()
        robot.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(robot.wait, 10) == 0


@asynccontextmanager
async def simulator_and_commander(mosquitto: Mosquitto) -> AsyncIterator[Commander]:
    with simulator(mosquitto):
        async with commanding(mosquitto.as_user("agent"), mosquitto.folder) as commander:
            await commander.ready()
            yield commander


async def test_a_commander_that_was_frozen_holds_its_task_and_goes_on_when_asked(mosquitto: Mosquitto) -> None:
    broker = mosquitto.as_user("agent")
    async with watching(mosquitto) as watcher:
        with (
            simulator(mosquitto),
            program("tests.robots.stage.live", str(mosquitto.port), str(mosquitto.folder)) as first,
        ):
            await watcher.until(lambda m: will(m, "stateRequest"))
            await watcher.until(driving)
            first.send_signal(signal.SIGSTOP)
            await watcher.until(paused)
            orders = watcher.orders()
            first.send_signal(signal.SIGCONT)
            thawed = time.monotonic()
            # Its own clock tells it: it pauses the robot once more, by its own name, and sends no way.
            await watcher.until(lambda m: pauses(m) and not will(m, "startPause"), after=thawed)
            async with commanding(broker, mosquitto.folder) as second:
                await until(lambda: second.session.world.online)
                await second.round_trip(watcher)
            assert watcher.orders() == orders
            assert not watcher.of("state")[-1].body["driving"]


async def test_a_warden_that_is_told_to_end_first_leaves_the_robot_in_peace(
    mosquitto: Mosquitto,
) -> None:
    broker = mosquitto.as_user("agent")
    with simulator(mosquitto):
        async with watching(mosquitto) as watcher:
            async with leased(options_of(broker)) as lease, commanding(broker, mosquitto.folder, lease) as commander:
                await commander.ready()
                await watcher.until(lambda m: will(m, "stateRequest"))
                assert lease._warden is not None
                lease._warden.terminate()
            async with commanding(broker, mosquitto.folder) as commander:
                await commander.ready()
                await commander.round_trip(watcher)
        assert not [message for message in watcher.of("instantActions") if pauses(message)]


async def test_a_warden_that_is_killed_is_replaced_and_the_robot_held_meanwhile(mosquitto: Mosquitto) -> None:
    broker = mosquitto.as_user("agent")
    with simulator(mosquitto):
        async with (
            watching(mosquitto) as watcher,
            leased(options_of(broker)) as lease,
            commanding(broker, mosquitto.folder, lease) as commander,
        ):
            await commander.ready()
            await watcher.until(lambda m: will(m, "stateRequest"))
            commander.call("go_to", place="kitchen")
            await watcher.until(driving)
            assert lease._warden is not None
            lease._warden.kill()
            killed = time.monotonic()
            await watcher.until(paused, after=killed)
            await commander.until(Happening.HELD)
            assert lease.lost == 1
            await watcher.until(lambda m: will(m, "stateRequest"), after=killed)
