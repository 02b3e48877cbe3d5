"""Why there is no connection to the broker, or why it does not do what is asked. `broker` is always HOST:PORT."""

from __future__ import annotations

from dataclasses import dataclass

from robots.facts.fact import Fact


@dataclass(frozen=True, slots=True)
class NotTried(Fact):
    """Nobody has asked the broker for a connection."""


@dataclass(frozen=True, slots=True)
class NoAnswerYet(Fact):
    """The broker was asked for the first time, and has not answered."""

    broker: str


@dataclass(frozen=True, slots=True)
class NobodyListens(Fact):
    """The host refuses the connection: no program listens on that port."""

    broker: str


@dataclass(frozen=True, slots=True)
class HostUnknown(Fact):
    """The name of the host has no address."""

    broker: str


@dataclass(frozen=True, slots=True)
class BrokerUnreachable(Fact):
    """The network does not lead there; `cause` is the system's own word."""

    broker: str
    cause: str


@dataclass(frozen=True, slots=True)
class BrokerSilent(Fact):
    """The connection is taken, and nothing is answered."""

    broker: str


@dataclass(frozen=True, slots=True)
class NotMqtt(Fact):
    """Something else than MQTT is answered; `answer` is how it begins."""

    broker: str
    answer: str


@dataclass(frozen=True, slots=True)
class ClosesAtOnce(Fact):
    """The connection is closed without an answer, as some brokers do that know no MQTT 5."""

    broker: str


@dataclass(frozen=True, slots=True)
class NoMqtt5(Fact):
    """The broker refuses this version of the protocol."""

    broker: str


@dataclass(frozen=True, slots=True)
class LoginMissing(Fact):
    """The broker wants a user, and none is set."""

    broker: str


@dataclass(frozen=True, slots=True)
class LoginRefused(Fact):
    """The broker does not let this user in with this password."""

    broker: str
    user: str


@dataclass(frozen=True, slots=True)
class BrokerRefuses(Fact):
    """The broker refuses the connection for another reason, in the protocol's own words."""

    broker: str
    cause: str


@dataclass(frozen=True, slots=True)
class TlsWanted(Fact):
    """TLS is spoken there, and none is set."""

    broker: str


@dataclass(frozen=True, slots=True)
class TlsUnknown(Fact):
    """TLS is set, and is not spoken there."""

    broker: str


@dataclass(frozen=True, slots=True)
class CertificateRefused(Fact):
    """The broker's certificate is not accepted here; `cause` is the library's own word."""

    broker: str
    cause: str


@dataclass(frozen=True, slots=True)
class TlsFailed(Fact):
    """TLS could not be agreed upon for another reason."""

    broker: str
    cause: str


@dataclass(frozen=True, slots=True)
class LinkBroken(Fact):
    """A connection that was there has ended."""

    cause: str


@dataclass(frozen=True, slots=True)
class SubscriptionDenied(Fact):
    """The broker's access list forbids reading a topic."""

    topic: str
    cause: str


@dataclass(frozen=True, slots=True)
class CommandDenied(Fact):
    """The broker's access list forbids writing a topic."""

    topic: str
    cause: str
