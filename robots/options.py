"""What a user may want to set about the robot and its broker. Holds no behaviour, and no secret: those lie in files."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal

import platformdirs


def _default_audit_file() -> Path:
    return platformdirs.user_state_path("descant") / "robot-audit.jsonl"


@dataclass(frozen=True, slots=True)
class RobotOptions:
    """The robot that replies may command, and the broker in between."""

    address: str = "descant/R1"
    """The robot: MANUFACTURER/SERIAL, or INTERFACE/MANUFACTURER/SERIAL where its topics do not begin with `uagv`."""

    broker: str = "127.0.0.1:1883"
    """HOST:PORT of the MQTT broker."""

    map: Path | None = None
    """Site map (YAML): places, fence and limits. Nothing moves without one."""

    dialect: Literal["2.1", "2.0", "2.0-instantActions", "1.1"] = "2.1"
    """VDA 5050 version to write; all are read."""

    user: str = ""
    """User name at the broker; empty: none."""

    password_file: Path | None = None
    """Text file whose first line is the password."""

    ca_file: Path | None = None
    """Certificate authority of the broker; given, TLS is used."""

    cert_file: Path | None = None
    """Client certificate."""

    key_file: Path | None = None
    """Its private key."""

    audit_file: Path = field(default_factory=_default_audit_file)
    """Log of everything that is commanded, refused and stopped; only ever appended to."""

    def __post_init__(self) -> None:
        """Open `~`, which no shell opens in a file."""
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, Path):
                object.__setattr__(self, item.name, value.expanduser())
