"""What the tests with a real broker share: a simulator process, a watcher of the wire, a commander that can be
killed."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiomqtt
import yaml

from robots.lease import leased
from robots.options import RobotOptions
from robots.protocols.vda5050.adapter import Vda5050Adapter
from robots.protocols.vda5050.codec import Address
from robots.safety.gate import Question, Resumed, Source
from robots.session import RobotSession, command_robot
from robots.site import Site
from robots.skills import SkillCall
from robots.terms.commands import Wanted
from tests.robots.stage.rig import HOUSE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    from robots.events import Event, Happening
    from robots.lease import Lease
    from robots.safety.gate import Admitted, Refused
    from robots.transport.mqtt import Broker
    from tests.robots.stage.mosquitto import Mosquitto

ADDRESS = Address("acme", "R1")
PATIENCE_S = 60.0
"""Only a test that fails waits so long, s; a machine that does much else may need some of it."""
ROOT = Path(__file__).parents[3]


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that nobody tells of."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def write_map(folder: Path) -> Path:
    path = folder / "house.yaml"
    path.write_text(yaml.safe_dump(json.loads(HOUSE.model_dump_json(exclude={"limits": {"confirm"}})), sort_keys=False))
    return path


@contextmanager
def program(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A program of this tree; ended by its pid."""
    process = subprocess.Popen([sys.executable, "-m", *arguments], cwd=ROOT)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(5)


@contextmanager
def simulator(mosquitto: Mosquitto, *extra: str, dialect: str = "2.1") -> Iterator[subprocess.Popen[bytes]]:
    with program(
        "tests.robots.stage.descant",
        *("--set", "robot.user=robot", "--set", f"robot.password_file={mosquitto.folder / 'robot.password'}"),
        *("--set", f"robot.dialect={dialect}"),
        *("robot", "simulate", "--broker", f"127.0.0.1:{mosquitto.port}", "--robot", str(ADDRESS)),
        *("--map", str(write_map(mosquitto.folder)), *extra),
    ) as process:
        yield process


@dataclass
class Message:
    at: float
    kind: str
    body: dict[str, Any]
    retained: bool


@dataclass
class Watcher:
    """Sees everything on the wire."""

    client: aiomqtt.Client
    messages: list[Message] = field(default_factory=list)
    _new: asyncio.Event = field(default_factory=asyncio.Event)

    async def watch(self) -> None:
        async for message in self.client.messages:
            assert isinstance(message.payload, bytes)
            kind = message.topic.value.rpartition("/")[2]
            self.messages.append(Message(time.monotonic(), kind, json.loads(message.payload), message.retain))
            self._new.set()

    async def until(self, condition: Callable[[Message], bool], *, after: float = 0.0) -> Message:
        """Wait for a message later than a moment."""
        seen = 0
        async with asyncio.timeout(PATIENCE_S):
            while True:
                for message in self.messages[seen:]:
                    if message.at >= after and condition(message):
                        return message
                seen = len(self.messages)
                self._new.clear()
                await self._new.wait()

    def of(self, kind: str) -> list[Message]:
        return [message for message in self.messages if message.kind == kind]

    def orders(self) -> set[tuple[str, int]]:
        return {(m.body["orderId"], m.body["orderUpdateId"]) for m in self.of("order")}


@asynccontextmanager
async def watching(mosquitto: Mosquitto) -> AsyncIterator[Watcher]:
    password = (mosquitto.folder / "watcher.password").read_text().strip()
    async with aiomqtt.Client("127.0.0.1", mosquitto.port, username="watcher", password=password) as client:
        watcher = Watcher(client)
        await client.subscribe("uagv/#", qos=1)
        task = asyncio.create_task(watcher.watch())
        try:
            yield watcher
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@dataclass
class Commander:
    session: RobotSession
    events: list[Event] = field(default_factory=list)
    records: list[dict[str, object]] = field(default_factory=list)

    async def until(self, happening: Happening) -> Event:
        """Wait for the next event of a kind."""
        async with asyncio.timeout(PATIENCE_S):
            async for event in self.session.events():
                self.events.append(event)
                if event.happening is happening:
                    return event
        raise AssertionError

    def call(self, skill: str, **arguments: str | float) -> Admitted | Question | Refused:
        return self.session.execute(SkillCall(self.session.new_id(), skill, arguments, self.session.epoch))

    async def ready(self) -> None:
        """Wait until the robot can be commanded."""
        await until(lambda: self.session.unfit() is None and self.session.world.capabilities is not None)

    async def round_trip(self, watcher: Watcher) -> None:
        """Wait until the robot has answered a question: it has by then taken in all that was sent before."""
        action_id = self.session.new_id()
        self.session.robot.gate.inquire(Wanted.REPORT, action_id, time.monotonic())
        await watcher.until(
            lambda m: m.kind == "state" and any(a["actionId"] == action_id for a in m.body["actionStates"])
        )

    async def resume(self) -> None:
        """Let the robot move again, as a user does who is asked and says yes."""
        asked: list[Question] = []

        def ask() -> bool:
            question = self.session.resume()
            if isinstance(question, Question):
                asked.append(question)
            return bool(asked)

        await until(ask)
        await until(lambda: time.monotonic() > asked[0].asked_at)
        answer = self.session.answer(asked[0].question_id, yes=True, by=Source.USER)
        assert isinstance(answer, Resumed), answer


@asynccontextmanager
async def commanding(broker: Broker, folder: Path, lease: Lease | None = None) -> AsyncIterator[Commander]:
    records: list[dict[str, object]] = []
    site = Site.load(write_map(folder))
    adapter = Vda5050Adapter(broker, ADDRESS)

    def keep(record: Mapping[str, object]) -> None:
        records.append(dict(record))

    async with command_robot(adapter, site=site, audit=keep, lease=lease) as session:
        yield Commander(session, records=records)


def options_of(broker: Broker) -> RobotOptions:
    """The settings that lead to a broker, and to the robot of these tests."""
    return RobotOptions(
        address=str(ADDRESS), broker=str(broker), user=broker.username or "", password_file=broker.password_file
    )


async def main() -> None:
    """Be a commander that drives to the kitchen until it is killed: `python -m tests.robots.stage.live PORT FOLDER`."""
    from tests.robots.stage.mosquitto import Mosquitto  # noqa: PLC0415, the program alone needs it

    mosquitto = Mosquitto(Path(sys.argv[2]), port=int(sys.argv[1]))
    broker = mosquitto.as_user("agent")
    async with leased(options_of(broker)) as lease, commanding(broker, mosquitto.folder, lease) as commander:
        await commander.ready()
        commander.call("go_to", place="kitchen")
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
