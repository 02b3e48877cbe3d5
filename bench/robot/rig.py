"""What the robot benchmark runs on: a real broker, the simulated robot as a process of its own, and a commander.

All on loopback and on free ports; what was started is ended by its own process id. Knows nothing of what is measured.
"""

from __future__ import annotations

import asyncio
import shutil
import socket
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from agent.robot.access import commanded, until_ready
from bench.errors import BenchExtraMissing
from robots.options import RobotOptions
from robots.protocols.reach import adapter_of
from robots.protocols.vda5050.watch import watching
from robots.simulator.run import EXAMPLE_MAP

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from robots.port import RobotPort
    from robots.protocols.vda5050.watch import WireLog

_TRIES: Final = 100
_LOOKS_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Rig:
    """Everything that stands ready."""

    options: RobotOptions
    robot: RobotPort
    wire: WireLog


@asynccontextmanager
async def rig(*, speed: float = 1.0, start: str = "home") -> AsyncIterator[Rig]:
    """Set everything up, and take it down again.

    Raises:
        BenchExtraMissing: there is no Mosquitto.
        RobotNotReady: the simulated robot does not come up.

    """
    program = shutil.which("mosquitto", path=f"{_path()}:/usr/sbin:/usr/local/sbin")
    if program is None:
        raise BenchExtraMissing("`descant bench robot` needs a broker; on Debian and Ubuntu: apt-get install mosquitto")
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        options = RobotOptions(broker=f"127.0.0.1:{_free_port()}", map=EXAMPLE_MAP, audit_file=folder / "audit.jsonl")
        adapter = adapter_of(options)
        broker = adapter.broker
        await stack.enter_async_context(_process(program, "-p", str(broker.port)))
        await _until_open(broker.port)
        entry = "from agent.cli.main import main; main()"
        simulate = ("robot", "simulate", "--broker", options.broker, "--speed", str(speed), "--start", start)
        await stack.enter_async_context(_process(sys.executable, "-c", entry, *simulate))
        wire = await stack.enter_async_context(watching(broker, adapter.address, adapter.codec))
        robot = await stack.enter_async_context(commanded(options))
        await until_ready(robot)
        yield Rig(options, robot, wire)


@asynccontextmanager
async def _process(*command: str) -> AsyncIterator[None]:
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*command, stdin=quiet, stdout=quiet, stderr=quiet)
    try:
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _until_open(port: int) -> None:
    for _ in range(_TRIES):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(_LOOKS_S)
            continue
        writer.close()
        await writer.wait_closed()
        return
    raise BenchExtraMissing(f"mosquitto does not listen on port {port} of this machine; start it by hand to see why")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _path() -> str:
    import os  # noqa: PLC0415 - for one variable

    return os.environ.get("PATH", "")
