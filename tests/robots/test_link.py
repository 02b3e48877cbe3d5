"""Commander, simulator process and a real Mosquitto: the way there and back, and who is let in."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from robots.errors import BadSetting
from robots.events import Happening
from robots.facts.messages import MessageUnlike
from robots.protocols.vda5050.adapter import Vda5050Adapter
from robots.protocols.vda5050.codec import DIALECTS
from robots.safety.gate import Admitted, Refused
from robots.session import command_robot, stop_robot
from tests.robots.stage.live import ADDRESS, Commander, commanding, simulator, watching
from tests.robots.stage.rig import HOUSE
from tests.robots.stage.words import reported, said

if TYPE_CHECKING:
    from pathlib import Path

    from tests.robots.stage.mosquitto import Mosquitto

pytestmark = pytest.mark.broker


@pytest.mark.parametrize("way", ["plain", "tls", "certificate"])
async def test_a_task_is_done_over_each_kind_of_connection(mosquitto: Mosquitto, way: str) -> None:
    broker = mosquitto.by_certificate() if way == "certificate" else mosquitto.as_user("agent", tls=way == "tls")
    with simulator(mosquitto, "--speed", "8"):
        async with watching(mosquitto) as watcher, commanding(broker, mosquitto.folder) as commander:
            await commander.ready()
            assert isinstance(commander.call("go_to", place="hall"), Admitted)
            await commander.until(Happening.DONE)
            # The watcher's own connection may be a state behind the commander's.
            await watcher.until(lambda m: m.kind == "state" and abs(m.body["agvPosition"]["x"] - 6) < 0.1)
        orders = watcher.of("order")
        assert len(orders) >= 3
        assert not any(message.retained for message in orders + watcher.of("instantActions"))


# paho leaves the socket of a refused TLS handshake to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
async def test_wrong_password_and_unknown_authority_are_said(mosquitto: Mosquitto, tmp_path: Path) -> None:
    (tmp_path / "wrong").write_text("wrong")
    wrong_password = replace(mosquitto.as_user("agent"), password_file=tmp_path / "wrong")
    no_authority = replace(mosquitto.as_user("agent", tls=True), ca_file=mosquitto.folder / "agent.crt")
    for broker, words in ((wrong_password, "does not let agent in"), (no_authority, "is not accepted")):
        async with commanding(broker, mosquitto.folder) as commander:
            assert words in reported(await commander.until(Happening.OFFLINE))
            assert isinstance(commander.call("go_to", place="hall"), Refused)


async def test_missing_files_are_bad_settings(mosquitto: Mosquitto, tmp_path: Path) -> None:
    for broken in (
        replace(mosquitto.as_user("agent"), password_file=tmp_path / "none"),
        replace(mosquitto.as_user("agent"), ca_file=tmp_path / "none"),
        replace(mosquitto.by_certificate(), key_file=None),
    ):
        with pytest.raises(ExceptionGroup) as caught:
            async with commanding(broken, mosquitto.folder):
                await asyncio.Event().wait()
        assert caught.group_contains(BadSetting)


async def test_a_broker_without_the_right_to_publish_is_detected_and_said(mosquitto: Mosquitto) -> None:
    mosquitto.kill()
    mosquitto.allow(
        "user agent\ntopic read uagv/#\nuser robot\ntopic readwrite uagv/#\nuser watcher\ntopic readwrite #\n"
    )
    mosquitto.start()
    with simulator(mosquitto):
        async with (
            watching(mosquitto) as watcher,
            commanding(mosquitto.as_user("agent"), mosquitto.folder) as commander,
        ):
            denied = await commander.until(Happening.DENIED)
            assert "Not authorized" in reported(denied)
            refused = commander.call("go_to", place="hall")
            assert isinstance(refused, Refused)
            assert "does not allow" in said(refused.reason)
            commander.session.stop("test")
            unconfirmed = await commander.until(Happening.UNCONFIRMED)
            assert "could not confirm" in reported(unconfirmed)
        assert not watcher.orders()


async def test_retained_commands_are_refused_by_the_robot(mosquitto: Mosquitto) -> None:
    async with watching(mosquitto) as watcher:
        topic = f"uagv/v2/{ADDRESS}/instantActions"
        header = {"headerId": 1, "version": "2.1.0", "manufacturer": "acme", "serialNumber": "R1"}
        now = time.strftime("%Y-%m-%dT%H:%M:%S.00Z", time.gmtime())

        def request(action_id: str) -> str:
            action = {"actionType": "stateRequest", "actionId": action_id, "blockingType": "NONE"}
            return json.dumps({**header, "timestamp": now, "actions": [action]})

        await watcher.client.publish(topic, request("stored"), qos=1, retain=True)
        with simulator(mosquitto):
            await watcher.until(lambda m: m.kind == "state")
            await watcher.client.publish(topic, request("live-retained"), qos=1, retain=True)
            await watcher.client.publish(topic, request("honest"), qos=1, retain=False)
            state = await watcher.until(lambda m: m.kind == "state" and bool(m.body["actionStates"]))
        assert [action["actionId"] for action in state.body["actionStates"]] == ["honest"]


async def test_two_commanders_notice_each_other(mosquitto: Mosquitto) -> None:
    broker = mosquitto.as_user("agent")
    with simulator(mosquitto):
        async with commanding(broker, mosquitto.folder) as first, commanding(broker, mosquitto.folder) as second:
            await first.ready()
            await second.ready()
            first.call("go_to", place="kitchen")
            await second.until(Happening.OTHER)
            assert isinstance(second.call("go_to", place="home"), Refused)
            second.session.stop("anybody may stop")
            await second.until(Happening.STOPPED)
            await first.until(Happening.STOPPED)
            refused = first.call("go_to", place="home")
            assert isinstance(refused, Refused)
            assert "stopped" in said(refused.reason)


async def test_leaving_in_peace_leaves_the_robot_alone_and_leaving_a_task_pauses_it(mosquitto: Mosquitto) -> None:
    broker = mosquitto.as_user("agent")
    with simulator(mosquitto):
        async with watching(mosquitto) as watcher:
            async with commanding(broker, mosquitto.folder) as commander:
                await commander.ready()
            async with commanding(broker, mosquitto.folder) as commander:
                await commander.ready()
                # The broker has heard the second commander after the first one's farewell.
                assert not any(
                    action["actionType"] == "startPause"
                    for message in watcher.of("instantActions")
                    for action in message.body["actions"]
                )
                commander.call("go_to", place="kitchen")
                await watcher.until(lambda m: m.kind == "state" and m.body["driving"])
                left = time.monotonic()
            paused = await watcher.until(lambda m: m.kind == "state" and bool(m.body["paused"]), after=left)
            assert not paused.body["driving"]


async def test_anybody_can_stop_the_robot_and_its_commander_obeys(mosquitto: Mosquitto) -> None:
    broker = mosquitto.as_user("agent")
    with simulator(mosquitto):
        async with watching(mosquitto) as watcher, commanding(broker, mosquitto.folder) as commander:
            await commander.ready()
            commander.call("go_to", place="kitchen")
            await watcher.until(lambda m: m.kind == "state" and m.body["driving"])
            event = await stop_robot(Vda5050Adapter(broker, ADDRESS))
            assert event.happening is Happening.STOPPED
            await commander.until(Happening.STOPPED)
            assert isinstance(commander.call("go_to", place="home"), Refused)
    gone = await stop_robot(Vda5050Adapter(broker, ADDRESS))
    assert gone.happening is Happening.UNCONFIRMED


async def test_an_order_that_would_say_something_else_than_was_judged_never_leaves(mosquitto: Mosquitto) -> None:
    dialect = replace(DIALECTS["2.1"], unknown={"edges": {"__all__": {"max_speed"}}})
    adapter = Vda5050Adapter(mosquitto.as_user("agent"), ADDRESS, dialect)
    with simulator(mosquitto):
        async with (
            watching(mosquitto) as watcher,
            command_robot(adapter, site=HOUSE, audit=lambda _: None) as session,
        ):
            commander = Commander(session)
            await commander.ready()
            assert isinstance(commander.call("go_to", place="hall"), Admitted)
            denied = await commander.until(Happening.DENIED)
            assert denied.reason == MessageUnlike("order")
            session.stop("test")
            await commander.until(Happening.STOPPED)
            assert not watcher.orders()
