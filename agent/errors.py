"""What can go wrong in the agent, in one tree.

AgentError             exit code 1: the environment, or the run
├── ConfigError        exit code 2: a setting that does not exist, or a value that is not allowed
├── BadQuestion        exit code 2: there is nothing to answer
├── TalkBusy           a conversation of the library is asked for two things at once
├── EventsUnread       events of a conversation of the library are not read as they come
├── NothingHeard       exit code 2: a recording without words
├── TimelineError      exit code 2: a file that is not a timeline
├── TranscriptError    exit code 2: a file that a transcript cannot be written to
├── ServerUnavailable  the server cannot listen there, or not without a key
├── ServerUnreachable  a server does not answer, refuses, or ends the session
├── OutputLost         what is told cannot be written
├── ForeignRecord      a file of measurements that is not what was written there
├── NotMeasured        the clock gave no time of a step that makes sense
├── RobotNotReady      the robot cannot be commanded
└── NobodyAnswered     a robot asked before it did something, and nobody was there
"""

from __future__ import annotations

from typing import ClassVar

from descant.errors import DescantError


class AgentError(DescantError):
    """Root of the room's errors."""


class ConfigError(AgentError):
    """A setting that does not exist, or a value that is not allowed."""

    exit_code: ClassVar[int] = 2


class BadQuestion(AgentError):
    """There is nothing to answer."""

    exit_code: ClassVar[int] = 2


class TalkBusy(AgentError):
    """A conversation of the library does one thing at a time."""


class EventsUnread(AgentError):
    """Events of a conversation of the library are to be read as they come."""


class NothingHeard(AgentError):
    """A recording without words."""

    exit_code: ClassVar[int] = 2


class TimelineError(AgentError):
    """A file that is not a timeline."""

    exit_code: ClassVar[int] = 2


class TranscriptError(AgentError):
    """A file that a transcript cannot be written to."""

    exit_code: ClassVar[int] = 2


class NotMeasured(AgentError):
    """What a step takes could not be measured."""


class ForeignRecord(AgentError):
    """A file of measurements that is torn, of another machine, or holds what cannot be."""


class RobotNotReady(AgentError):
    """The robot cannot be commanded."""


class NobodyAnswered(AgentError):
    """What was to be done was asked about first, and nobody was there to answer."""


class OutputLost(AgentError):
    """What is told cannot be written: the disk is full, or nobody reads it."""

    def __init__(self, told: str, *, reader_gone: bool = False) -> None:
        super().__init__(told)
        self.reader_gone = reader_gone
        """Whether whoever read it has left."""


class ServerUnavailable(AgentError):
    """The server cannot listen there, or not without a key."""


class ServerUnreachable(AgentError):
    """A server does not answer, refuses, or ends the session."""
