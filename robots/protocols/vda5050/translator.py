"""One robot's side of VDA 5050: what is to be sent as bytes, and what came as news. Sans-I/O.

What is written is read back and held against the command that was judged, before anybody sends it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from robots.errors import InvalidMessage, UnlikeCommand
from robots.facts.messages import MessageOvertaken, MessageUnlike, OtherRobotNamed
from robots.protocols.vda5050.codec import COMMAND_TOPICS, Address, Codec, HeaderCounter, Topic, topic_of
from robots.protocols.vda5050.messages import (
    BlockingType,
    Connection,
    Factsheet,
    InstantActions,
    Order,
    State,
)
from robots.protocols.vda5050.ordering import StateOrder
from robots.protocols.vda5050.orders import command_of, intent_of, message_of
from robots.protocols.vda5050.reports import capabilities_of, own_word, presence_of, report_of
from robots.safety.packet import WILL
from robots.terms.commands import Deed, Release, StopCommand, StopStep
from robots.terms.heard import About, Described, Overheard, Presented, Reported, RobotNews, Unreadable
from robots.untrusted import plain

if TYPE_CHECKING:
    from datetime import datetime

    from robots.protocols.vda5050.codec import Received
    from robots.terms.commands import RobotCommand

_NAMED: Final = 80
"""Most characters of a foreign robot's name."""


@dataclass(slots=True)
class Translator:
    """Reads and writes for one robot."""

    address: Address
    codec: Codec
    order: StateOrder = field(default_factory=StateOrder)
    _headers: HeaderCounter = field(default_factory=HeaderCounter)
    _factsheet: Factsheet | None = None

    def read(self, topic: Topic, payload: bytes, now: float) -> RobotNews | None:
        """Return what a message tells; None: nothing that matters here."""
        try:
            received = self.codec.decode(topic, payload)
        except InvalidMessage as error:
            return Unreadable(error.fact, _about(topic))
        # A command on this robot's topic is for this robot, whatever its header says: it is noticed.
        if topic not in COMMAND_TOPICS and not self.address.named_in(received.header):
            named = f"{received.header.manufacturer}/{received.header.serial_number}"
            return Unreadable(OtherRobotNamed(topic, plain(named, _NAMED)), _about(topic))
        return self.news_of(received, now)

    def news_of(self, received: Received, now: float) -> RobotNews | None:
        """Return what a decoded message tells; None: nothing that matters here."""
        misread = received.misread
        match received.message:
            case State() as state:
                if not self.order.takes(received.header, now):
                    return Unreadable(MessageOvertaken(received.topic), About.REPORT)
                return Reported(report_of(state, misread), misread)
            case Connection(connection_state=presence):
                self.order.present(presence, received.header)
                return Presented(presence_of(presence), own_word("connectionState", presence, misread), misread)
            case Factsheet() as factsheet:
                self._factsheet = factsheet
                return Described(capabilities_of(factsheet), misread)
            case Order() | InstantActions() as command:
                return Overheard(intent_of(command))
            case _:
                return None

    def write(self, command: RobotCommand, now: datetime) -> tuple[Topic, bytes]:
        """Return the message that says a command; `now`: the time of day.

        Raises:
            UnlikeCommand: read back, it says something else.

        """
        message = message_of(command, self._blocking(command))
        topic = topic_of(message)
        payload = self.codec.encode(message, self.address, self._headers.take(topic), now)
        # The stops are the same message each time; nothing may hold them up.
        if not isinstance(command, StopCommand) and self._said(topic, payload) != command:
            raise UnlikeCommand(MessageUnlike(topic))
        return topic, payload

    def write_will(self, new_id: str, now: datetime) -> tuple[Topic, bytes]:
        """Return the message with which the broker pauses the robot when this program is gone."""
        return self.write(StopCommand(StopStep.PAUSE, WILL + new_id), now)

    def _said(self, topic: Topic, payload: bytes) -> RobotCommand | None:
        """Return the command that a message of ours says to whoever reads it; None: none, or more."""
        try:
            message = self.codec.decode(topic, payload).message
        except InvalidMessage:
            return None
        return command_of(message) if isinstance(message, Order | InstantActions) else None

    def _blocking(self, command: RobotCommand) -> BlockingType:
        """Return what may go on beside a deed: nothing (HARD), unless the factsheet forbids that."""
        deed = command.deed if isinstance(command, Release) else command
        if not isinstance(deed, Deed) or self._factsheet is None:
            return BlockingType.HARD
        known = self._factsheet.protocol_features.agv_actions
        types = next(
            (one.blocking_types for one in known if one.action_type == deed.skill and one.blocking_types), None
        )
        return BlockingType.HARD if types is None or BlockingType.HARD in types else types[0]


def _about(topic: Topic) -> About:
    if topic in COMMAND_TOPICS:
        return About.COMMAND
    return About.REPORT if topic is Topic.STATE else About.OTHER
