"""From settings to the adapter of the robot that they name: the one place where a protocol is chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robots.protocols.vda5050.adapter import Vda5050Adapter
from robots.protocols.vda5050.codec import DIALECTS, Address
from robots.transport.connection import broker_of

if TYPE_CHECKING:
    from robots.options import RobotOptions


def adapter_of(options: RobotOptions) -> Vda5050Adapter:
    """Return the adapter of the robot that the settings name.

    Raises:
        BadSetting: the address of the robot or of its broker cannot be used.

    """
    return Vda5050Adapter(broker_of(options), Address.parse(options.address), DIALECTS[options.dialect])
