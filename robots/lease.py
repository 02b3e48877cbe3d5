"""A lease on the right to move a robot, kept by a second process: who does not renew it is taken for frozen.

A program that is dead loses its connection, and the broker pauses the robot by the last will. A program that hangs, or
is stopped by a signal, keeps its connection open, and a broker may take eight seconds to notice. So a second process
(`robots.protocols.warden`) is told ten times a second that this one lives, and whether the robot has something to do.
Where that word does not come, it pauses the robot, by a connection of its own.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import TypeAdapter

from robots.options import RobotOptions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LAPSE_S: Final = 1.5
"""Who has not renewed the lease for so long is frozen, s: a pause is on the wire well within two."""
SETTINGS: Final = TypeAdapter(RobotOptions)
"""How a warden is told which robot it is; no secret is among it, only where those lie."""
BUSY: Final = b"1"
IDLE: Final = b"0"
AGAIN_S: Final = 1.0
"""Before a warden that is gone is replaced, s."""
FAREWELL_S: Final = 5.0
"""How long a warden may take to end, s; it is killed then."""


@dataclass(slots=True)
class Lease:
    """What the living say; made by `leased`."""

    lost: int = 0
    """How many wardens were lost."""
    _warden: asyncio.subprocess.Process | None = None

    def renew(self, *, busy: bool) -> None:
        """Say that this program lives, and whether the robot has something to do."""
        pipe = None if self._warden is None else self._warden.stdin
        # A warden that does not read is frozen itself: its connection will tell, and nothing piles up here.
        if pipe is not None and not pipe.is_closing() and pipe.transport.get_write_buffer_size() == 0:
            pipe.write(BUSY if busy else IDLE)

    async def keep(self, options: RobotOptions) -> None:
        """Keep a warden, for ever."""
        while True:
            warden = await asyncio.create_subprocess_exec(
                # -P: whatever folder `robots` the user stands beside, it is not this package.
                *(sys.executable, "-P", "-m", "robots.protocols.warden"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": _path()},
                # Ctrl-C is for this program; the warden goes with it.
                start_new_session=True,
            )
            try:
                if warden.stdin is not None:
                    warden.stdin.write(SETTINGS.dump_json(options) + b"\n")
                self._warden = warden
                await warden.wait()
            finally:
                self._warden = None
                await _ended(warden)
            self.lost += 1
            await asyncio.sleep(AGAIN_S)


@asynccontextmanager
async def leased(options: RobotOptions) -> AsyncIterator[Lease]:
    """Hold a lease on the robot that the settings name, while the block lasts."""
    lease = Lease()
    keeping = asyncio.create_task(lease.keep(options), name="lease")
    try:
        yield lease
    finally:
        # Once: what is awaited then is the warden's end.
        keeping.cancel()
        await asyncio.wait([keeping])


def _path() -> str:
    """Return the search path with which a warden finds the package that this module is of."""
    own, others = str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")
    return os.pathsep.join((own, others)) if others else own


async def _ended(warden: asyncio.subprocess.Process) -> None:
    """Let a warden go: its input ends, and it with it."""
    if warden.stdin is not None:
        warden.stdin.close()
    try:
        async with asyncio.timeout(FAREWELL_S):
            await warden.wait()
    except TimeoutError:
        warden.kill()
        await warden.wait()
