"""From settings to the parts that a commander, a stop and a simulated robot are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robots.errors import BadSetting
from robots.site import Site
from robots.transport.mqtt import Broker

if TYPE_CHECKING:
    from robots.options import RobotOptions


def broker_of(options: RobotOptions) -> Broker:
    """Return the broker that the settings name.

    Raises:
        BadSetting: the address is not HOST:PORT.

    """
    host, _, port = options.broker.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise BadSetting(f"broker {options.broker!r}: write HOST:PORT, for example 127.0.0.1:1883")
    return Broker(
        host,
        int(port),
        username=options.user or None,
        password_file=options.password_file,
        ca_file=options.ca_file,
        cert_file=options.cert_file,
        key_file=options.key_file,
    )


def site_of(options: RobotOptions) -> Site:
    """Return the site map that the settings name.

    Raises:
        BadSetting: none is named.
        BadMap: it cannot be used.

    """
    if options.map is None:
        raise BadSetting("no site map: give --map FILE or the setting robot.map (an example: descant robot map)")
    return Site.load(options.map)
