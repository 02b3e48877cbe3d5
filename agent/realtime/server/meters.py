"""Figures for Prometheus. Each server has a registry of its own; no figure holds anything that a user said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from agent.costs.meters import MachineMeters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS: Final = (0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)


class CountedElsewhere(Collector):
    """A counter with one label, which others count."""

    def __init__(self, name: str, told: str, label: str, counts: Callable[[], Mapping[str, int]]) -> None:
        self._name, self._told, self._label, self._counts = name, told, label, counts

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Yield the counter, by its label."""
        told = CounterMetricFamily(self._name, self._told, labels=[self._label])
        for name, count in self._counts().items():
            told.add_metric([name], count)
        yield told


class MachineFigures(Collector):
    """What the server spends: its seconds of processor, and the joules that meters of the machine can be read for."""

    def __init__(self, machine: MachineMeters) -> None:
        self._machine = machine

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Yield the seconds, and the joules by part; estimates are left to whoever knows the machine."""
        now = self._machine.read()
        yield CounterMetricFamily("descant_processor_seconds", "Seconds of processor cores.", value=now.cpu_s)
        joules = CounterMetricFamily(
            "descant_joules", "Energy of the machine, by its own meters; absent where there are none.", labels=["part"]
        )
        for part, value in (("processor", now.package_j), ("gpu", now.gpu_j)):
            if value is not None:
                joules.add_metric([part], value)
        yield joules


class Meters:
    """What is counted; `sessions` tells how many are open, `free` how many more may be."""

    def __init__(self, sessions: Callable[[], int], free: Callable[[], int] = lambda: 0) -> None:
        self._registry = registry = CollectorRegistry()
        Gauge("descant_sessions", "Sessions that are open.", registry=registry).set_function(sessions)
        places = Gauge("descant_sessions_free", "Sessions that may still be opened.", registry=registry)
        places.set_function(free)
        self.resumed = Counter(
            "descant_conversations_resumed", "Wishes to go on with a conversation.", ["outcome"], registry=registry
        )
        self.opened = Counter("descant_sessions_opened", "Sessions that were opened.", registry=registry)
        self.refused = Counter("descant_refused", "Connections that were refused.", ["reason"], registry=registry)
        self.closed = Counter("descant_closed", "Sessions that ended, by close code.", ["code"], registry=registry)
        self.events = Counter("descant_client_events", "Events that clients sent.", registry=registry)
        self.mistakes = Counter("descant_errors_sent", "Error events that were sent.", ["code"], registry=registry)
        self.responses = Counter("descant_responses", "Responses that ended.", ["status"], registry=registry)
        self.first_audio = Histogram(
            "descant_first_audio_seconds",
            "From the start of a response to its first sound.",
            buckets=_SECONDS,
            registry=registry,
        )

    def watch_machine(self, machine: MachineMeters) -> None:
        """Tell what the machine spends, from now on."""
        self._registry.register(MachineFigures(machine))

    def watch_robot(self, refused: Callable[[], Mapping[str, int]]) -> None:
        """Tell what is refused of a robot's messages, by reason, from now on."""
        name, told = "descant_robot_messages_refused", "Messages of the robot that could not be used."
        self._registry.register(CountedElsewhere(name, told, "reason", refused))

    def watch_tokens(self, tokens: Callable[[], Mapping[str, int]]) -> None:
        """Tell the tokens of all turns by role, from now on."""
        told = "Tokens of all turns that have ended: what thinker, writer and questions took, and what was dropped."
        self._registry.register(CountedElsewhere("descant_tokens", told, "role", tokens))

    def text(self) -> bytes:
        """Write all figures in Prometheus' text format."""
        return generate_latest(self._registry)
