"""Against programs of other people: vda-5050-lib as the robot, and as the master of the simulated robot."""

from __future__ import annotations

import asyncio
import json
import math
import shutil
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from robots.events import Happening
from robots.facts.tasks import ClientGone
from robots.protocols.vda5050.adapter import Vda5050Adapter
from robots.protocols.vda5050.codec import DIALECTS
from robots.safety.gate import Admitted
from robots.session import command_robot
from tests.robots.stage.live import ADDRESS, Commander, Message, simulator, until, watching
from tests.robots.stage.mosquitto import PASSWORDS
from tests.robots.stage.rig import HOUSE
from tests.robots.stage.words import reported

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.robots.stage.mosquitto import Mosquitto

PEER = Path(__file__).parent / "peer"
DIALECT = "2.0-instantActions"
"""What vda-5050-lib 1.4.0 speaks."""

pytestmark = [
    pytest.mark.broker,
    pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js"),
    pytest.mark.skipif(not (PEER / "node_modules").exists(), reason="needs `npm ci` in tests/robots/peer"),
]


@asynccontextmanager
async def node(script: str, mosquitto: Mosquitto, user: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *("node", str(PEER / script), f"mqtt://127.0.0.1:{mosquitto.port}", user, PASSWORDS[user]),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@asynccontextmanager
async def commanding_the_peer(mosquitto: Mosquitto) -> AsyncIterator[Commander]:
    adapter = Vda5050Adapter(mosquitto.as_user("agent"), ADDRESS, DIALECTS[DIALECT])
    async with command_robot(adapter, site=HOUSE, audit=lambda _: None) as session:
        yield Commander(session)


async def fit(commander: Commander) -> None:
    await until(lambda: commander.session.unfit() is None)


def moving(message: Message) -> bool:
    return message.kind == "state" and bool(message.body["driving"])


async def test_an_independent_robot_drives_stops_and_resumes_under_our_command(mosquitto: Mosquitto) -> None:
    async with (
        node("robot.js", mosquitto, "robot"),
        watching(mosquitto) as watcher,
        commanding_the_peer(mosquitto) as commander,
    ):
        await fit(commander)
        assert isinstance(commander.call("go_to_pose", x=3.5, y=1.0), Admitted)
        await commander.until(Happening.DONE)
        position = watcher.of("state")[-1].body["agvPosition"]
        assert math.dist((position["x"], position["y"]), (3.5, 1.0)) < 0.3
        updates = {m.body["orderUpdateId"] for m in watcher.of("state") if m.body["orderId"]}
        assert len(updates) >= 3, "the base was extended by stitched updates"

        began = time.monotonic()
        commander.call("go_to", place="home")
        await watcher.until(moving, after=began)
        said = time.monotonic()
        commander.session.stop("test")
        stopped = await commander.until(Happening.STOPPED)
        assert reported(stopped) == "R1 has stopped."
        await watcher.until(
            lambda m: m.kind == "state" and not m.body["driving"] and not m.body["nodeStates"], after=said
        )

        await commander.resume()
        await commander.until(Happening.RESUMED)
        assert isinstance(commander.call("go_to", place="home"), Admitted)
        await commander.until(Happening.DONE)
        wrong = {e["errorType"] for m in watcher.of("state") for e in m.body["errors"]}
        assert not wrong & {"validationError", "orderUpdateError", "noRouteError"}


async def test_an_independent_robot_that_is_paused_already_confirms_a_stop(mosquitto: Mosquitto) -> None:
    async with (
        node("robot.js", mosquitto, "robot"),
        watching(mosquitto) as watcher,
        commanding_the_peer(mosquitto) as commander,
    ):
        await fit(commander)
        commander.call("go_to", place="hall")
        await watcher.until(moving)
        commander.session.hold(ClientGone())
        await commander.until(Happening.HELD)
        commander.session.stop("test")
        await commander.until(Happening.STOPPED)


async def test_our_robot_obeys_an_independent_master(mosquitto: Mosquitto) -> None:
    said: list[dict[str, Any]] = []
    with simulator(mosquitto, "--start", "home", dialect=DIALECT):
        async with watching(mosquitto) as watcher:
            await watcher.until(lambda m: m.kind == "state")
            async with node("master.js", mosquitto, "watcher") as master:
                assert master.stdout is not None
                async with asyncio.timeout(60):
                    said = [json.loads(line) async for line in master.stdout]
                    assert await master.wait() == 0
    by = {(s["what"], s.get("order"), s.get("node") or s.get("update")): s for s in said}
    assert said[0] == {"what": "connection", "state": "ONLINE"}
    assert [s["node"] for s in said if s["what"] == "node" and s["order"] == "o1"][-1] == "n2"
    assert [s["status"] for s in said if s["what"] == "action" and s["id"] == "w1"][-1] == "FINISHED"
    assert by["processed", "o1", 1] == {
        "what": "processed",
        "order": "o1",
        "update": 1,
        "byCancelation": False,
        "active": False,
    }
    ends = [(s["type"], s.get("status") or s.get("error")) for s in said if s["what"] == "instant"]
    assert [end for end in ends if end[1] not in {"WAITING", "INITIALIZING", "RUNNING"}] == [
        *(
            ("startPause", "FINISHED"),
            ("stopPause", "FINISHED"),
            ("cancelOrder", "FINISHED"),
            ("cancelOrder", "FAILED"),
        ),
    ]
    assert any(s["what"] == "processed" and s["order"] == "o2" and s["byCancelation"] for s in said)
    assert any(s["what"] == "processed" and s["order"] == "o3" and s.get("error") == "noRouteError" for s in said)
