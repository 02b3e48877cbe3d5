"""What can go wrong with robots.

    RobotError
    ├── FactError                 known by a fact, for which a language has the words
    │   ├── InvalidMessage        a payload is not what its topic promises
    │   ├── UnlikeCommand         what would be sent does not say what was judged
    │   ├── LinkLost              the broker is gone or refuses the connection
    │   │   └── PublishDenied     its access list forbids a command
    │   └── AuditFailed           the audit log cannot be written
    └── RobotInputError           what the user gave is wrong (exit code 2)
        ├── BadMap                the site map cannot be used
        └── BadSetting            an address, a fault or a limit cannot be used

A command that the gate refuses is no error but an answer: see `robots.safety.gate.Refused`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from descant.errors import DescantError

if TYPE_CHECKING:
    from robots.facts.fact import Fact


class RobotError(DescantError):
    """Root of this room's errors."""


class FactError(RobotError):
    """Something that users are told in their own language; the text of the error is for programmers."""

    def __init__(self, fact: Fact) -> None:
        """Take what is true."""
        super().__init__(f"{fact.code}: {', '.join(f'{name} {value}' for name, value in fact.items())}")
        self.fact = fact


class InvalidMessage(FactError):
    """A payload is not a valid message of its topic; the fact names the field."""


class UnlikeCommand(FactError):
    """A message of ours, read back, does not say the command that it was made of; it is not sent."""


class LinkLost(FactError):
    """The broker cannot be reached, refused the connection or ended it."""


class PublishDenied(LinkLost):
    """The broker does not allow this client to publish on a topic."""


class AuditFailed(FactError):
    """The audit log cannot be written; without it no motion is commanded."""


class RobotInputError(RobotError):
    """What the user gave cannot be used."""

    exit_code: ClassVar[int] = 2


class BadMap(RobotInputError):
    """The site map is missing, malformed or contradicts itself."""


class BadSetting(RobotInputError):
    """An address, a limit or a fault is not usable."""
