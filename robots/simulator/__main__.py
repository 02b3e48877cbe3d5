"""Run a simulated robot: `python -m robots.simulator --map site.yaml --robot acme/R1`."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from robots.errors import BadSetting, RobotError
from robots.mqtt import Broker
from robots.simulator.drawing import draw_run
from robots.simulator.faults import read_faults
from robots.simulator.process import SimulatedRobot
from robots.site import Site
from robots.vda5050.codec import DIALECTS, Address


def arguments() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = argparse.ArgumentParser(prog="python -m robots.simulator", description="A simulated VDA 5050 robot.")
    parser.add_argument("--broker", default="127.0.0.1:1883", help="HOST:PORT")
    parser.add_argument("--robot", default="descant/R1", help="MANUFACTURER/SERIAL")
    parser.add_argument("--map", type=Path, required=True, help="site map, YAML")
    parser.add_argument("--start", help="place where the robot stands at first")
    parser.add_argument("--speed", type=float, default=1.0, help="simulated seconds per second")
    parser.add_argument(
        "--fault", action="append", default=[], help="drop=0.1, delay=0.5, obstacle@6=4 ...; repeatable"
    )
    parser.add_argument("--seed", type=int, default=0, help="for faults")
    parser.add_argument("--dialect", default="2.1", choices=sorted(DIALECTS))
    parser.add_argument("--user")
    parser.add_argument("--password-file", type=Path)
    parser.add_argument("--ca-file", type=Path)
    parser.add_argument("--cert-file", type=Path)
    parser.add_argument("--key-file", type=Path)
    parser.add_argument("--draw", type=Path, help="at the end, draw the run into this .png or .gif")
    return parser


def broker_of(options: argparse.Namespace) -> Broker:
    """Return the broker that the options name.

    Raises:
        BadSetting: the address is not HOST:PORT.

    """
    host, _, port = options.broker.rpartition(":")
    if not host or not port.isdecimal():
        raise BadSetting(f"broker {options.broker!r}: write HOST:PORT")
    return Broker(
        host,
        int(port),
        username=options.user,
        password_file=options.password_file,
        ca_file=options.ca_file,
        cert_file=options.cert_file,
        key_file=options.key_file,
    )


async def simulate(options: argparse.Namespace) -> None:
    """Run until told to end.

    Raises:
        RobotError: something given cannot be used.

    """
    network, mishaps = read_faults(options.fault)
    site = Site.load(options.map)
    if options.speed <= 0:
        raise BadSetting(f"speed {options.speed}: must be greater than 0")
    robot = SimulatedRobot(
        broker_of(options),
        Address.parse(options.robot),
        site,
        speed=options.speed,
        start=options.start,
        network=network,
        mishaps=mishaps,
        seed=options.seed,
        codec=DIALECTS[options.dialect],
        say=lambda text: print(text, file=sys.stderr),  # noqa: T201, a program that talks to its user
    )
    running = asyncio.create_task(robot.run(), name="simulated robot")
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    await asyncio.wait([running])
    if options.draw:
        draw_run(site, list(robot.simulation.trail), options.draw)
    if not running.cancelled():
        await running


def main() -> int:
    """Return 0, or 1 or 2 after saying what went wrong."""
    failed: BaseException | None = None
    try:
        asyncio.run(simulate(arguments().parse_args()))
    except* RobotError as group:
        failed = group
    while isinstance(failed, BaseExceptionGroup):
        failed = failed.exceptions[0]
    if not isinstance(failed, RobotError):
        return 0
    sys.stderr.write(f"error: {failed}\n")
    return failed.exit_code


if __name__ == "__main__":
    sys.exit(main())
