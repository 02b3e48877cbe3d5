"""The second process of a lease (`robots.lease`): pauses the robot when its commander is frozen, and can do no more.

It reads the settings of the robot as one line of JSON, then the commander's signs of life, and ends with its input. It
commands like any other program, but as a bystander, with a gate of its own that has no place to go to; its pauses are
named like last wills, so that the commander, once it lives again, takes them for what they are.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import uuid
from typing import TYPE_CHECKING

from robots.core.role import CommandRole
from robots.facts.tasks import CommanderFroze
from robots.lease import BUSY, LAPSE_S, SETTINGS
from robots.protocols.reach import adapter_of
from robots.safety.packet import WILL
from robots.session import command_robot
from robots.site import NOWHERE

if TYPE_CHECKING:
    from robots.session import RobotSession


async def watch(signs: asyncio.StreamReader, robot: RobotSession, lapse_s: float = LAPSE_S) -> None:
    """Pause the robot whenever no sign of life came for `lapse_s` while it had something to do; until they end."""
    busy = False
    while True:
        try:
            async with asyncio.timeout(lapse_s):
                read = await signs.read(64)
        except TimeoutError:
            if busy:
                robot.hold(CommanderFroze())
            # Once: a new sign of life comes before the next pause.
            busy = False
            continue
        if not read:
            return
        busy = read.endswith(BUSY)


async def main() -> None:
    """Watch over the program at the other end of the standard input."""
    signs, loop = asyncio.StreamReader(), asyncio.get_running_loop()
    # A service is often told to end by a signal to all its processes: this one outlives its commander, or its last will
    # would pause a robot that was left in peace.
    loop.add_signal_handler(signal.SIGTERM, lambda: None)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(signs), sys.stdin)
    adapter = adapter_of(SETTINGS.validate_json(await signs.readline()))
    async with command_robot(
        adapter, site=NOWHERE, audit=lambda _: None, role=CommandRole.BYSTANDER, new_id=_new_id
    ) as robot:
        await watch(signs, robot)


def _new_id() -> str:
    return WILL + uuid.uuid4().hex


if __name__ == "__main__":
    asyncio.run(main())
