"""A simulated robot as a program: from settings to a run that ends with a picture."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from robots.errors import BadSetting
from robots.facts.simulation import RunDrawn
from robots.protocols.vda5050.codec import DIALECTS, Address
from robots.simulator.drawing import check_drawing, draw_run
from robots.simulator.faults import read_faults
from robots.simulator.process import SimulatedRobot
from robots.site import Site
from robots.transport.connection import broker_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from robots.facts.fact import Fact
    from robots.options import RobotOptions

EXAMPLE_MAP: Final = Path(__file__).with_name("house.yaml")
"""Where a simulated robot lives when no site map is named."""


@dataclass(frozen=True, slots=True)
class SimulationOptions:
    """How a simulated robot is to be."""

    start: str | None = None
    """Place where it stands at first; None: the first of the map."""
    speed: float = 1.0
    """Simulated seconds per second."""
    faults: tuple[str, ...] = ()
    """As `robots.simulator.faults` reads them."""
    seed: int = 0
    """Of the faults."""
    draw: Path | None = None
    """Picture of the run, made at its end."""
    seconds: float | None = None
    """Real seconds after which it ends; None: when it is told to."""


async def simulate(options: RobotOptions, run: SimulationOptions, say: Callable[[Fact], None]) -> None:
    """Be a robot until interrupted, terminated or the time is over; then draw the run.

    Raises:
        BadSetting: something given cannot be used.
        BadMap: the site map cannot be used.

    """
    network, mishaps = read_faults(run.faults)
    site = Site.load(options.map or EXAMPLE_MAP)
    if not run.speed > 0:
        raise BadSetting(f"speed {run.speed}: must be greater than 0")
    if run.draw is not None:
        check_drawing(run.draw)
    robot = SimulatedRobot(
        broker_of(options),
        Address.parse(options.address),
        site,
        speed=run.speed,
        start=run.start,
        network=network,
        mishaps=mishaps,
        seed=run.seed,
        codec=DIALECTS[options.dialect],
        say=say,
    )
    running = asyncio.create_task(robot.run(), name="simulated robot")
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    _, late = await asyncio.wait([running], timeout=run.seconds)
    if late:
        running.cancel()
        await asyncio.wait([running])
    if run.draw is not None:
        draw_run(site, list(robot.simulation.trail), run.draw)
        say(RunDrawn(str(run.draw)))
    with suppress(asyncio.CancelledError):
        running.result()
