"""From settings to the parts that a commander, a stop and a simulated robot are made of."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from robots.errors import BadSetting
from robots.site import Site
from robots.transport.mqtt import Broker

if TYPE_CHECKING:
    from robots.options import RobotOptions


_PLACE: Final = re.compile(r"\[?(?P<host>[^\s/@?#\[\]]+)\]?:(?P<port>[0-9]{1,5})")
"""Host, perhaps in brackets, and port: no path, no user, no space."""


def broker_of(options: RobotOptions) -> Broker:
    """Return the broker that the settings name.

    Raises:
        BadSetting: the address is not HOST:PORT.

    """
    # What stands before the @ may be a password.
    shown = options.broker.rpartition("@")[2]
    scheme, is_url, _ = options.broker.partition("://")
    if is_url:
        host = shown.removeprefix(f"{scheme}://").partition("/")[0]
        mend = f"write {host if ':' in host else f'{host}:1883'}"
        more = "" if scheme in {"mqtt", "tcp"} else "; robot.ca_file asks for TLS, and web sockets are not spoken"
        raise BadSetting(f"broker {shown!r} is a URL: {mend}{more}")
    found = _PLACE.fullmatch(options.broker)
    if found is None or not 0 < int(found["port"]) < 2**16:
        raise BadSetting(f"broker {shown!r}: write HOST:PORT, for example 127.0.0.1:1883")
    return Broker(
        found["host"],
        int(found["port"]),
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
