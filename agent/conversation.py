"""Whose turn is it? The turn-taking state machine: what the ears say in, what is to be done out.

    idle -> listening -> wagered -> answering -> idle
                ^___________|           |
                ^_______________________|  (words over the reply: interrupt)

Work starts at the soft end of speech, as a wager: nothing is heard of it before the hard end, and it is taken back
when the user goes on. Sound over the reply interrupts only once there are words in it: a cough does not.

Sans-I/O: events come in, actions go out; it reads no clock and knows neither sound nor models.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from audio.messages import EarsEvent, HardEnd, SoftEnd, SpeechResumed, SpeechStarted, Words


@dataclass(frozen=True, slots=True)
class Hear:
    """Take the words of the turn so far into the input."""

    text: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Begin to work on the reply; nothing may be heard of it yet."""

    text: str


@dataclass(frozen=True, slots=True)
class HoldOpen:
    """Wait for more as long as the end of the words asks for."""

    ending: Literal["question", "statement", "unfinished"]
    """A question is complete; after a statement the question may still come; unfinished words break off."""


@dataclass(frozen=True, slots=True)
class TakeBack:
    """Drop the reply that was begun on a wager: the user goes on."""


@dataclass(frozen=True, slots=True)
class Release:
    """Let the reply be heard: the turn is over."""

    text: str
    last_sample: int
    """Where the user's speech ended, on the input clock."""


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Stop the reply that is being heard; the user has the turn."""


Action = Hear | Answer | HoldOpen | TakeBack | Release | Interrupt


class Conversation:
    """The state of one conversation."""

    def __init__(self) -> None:
        self.state: Literal["idle", "listening", "wagered", "answering"] = "idle"
        self._text = ""
        """What the reply that is being made answers."""
        self._soft = False
        self._speaking = False
        """Whether a turn of the user has begun and not ended."""

    def receive(self, event: EarsEvent) -> list[Action]:
        """Take one event of the ears and say what is to be done."""
        match event:
            case SpeechStarted():
                self._soft, self._speaking = False, True
                if self.state == "idle":
                    self.state = "listening"
                return []
            case SoftEnd():
                self._soft = True
                return []
            case SpeechResumed():
                self._soft = False
                return self._taken_back()
            case Words():
                return self._heard(event)
            case HardEnd():
                return self._ended(event)

    def replied(self) -> None:
        """Take note that the reply was heard to its end."""
        if self.state == "answering":
            # Whoever began to speak over the last word of the reply has the turn.
            self.state = "listening" if self._speaking else "idle"

    def _heard(self, words: Words) -> list[Action]:
        text = words.committed.strip()
        actions: list[Action] = []
        if self.state == "answering":
            if not text:
                return []
            actions.append(Interrupt())
            self.state = "listening"
        if not (self._soft or words.final):
            return [*actions, Hear(text)] if text and self.state == "listening" else actions
        if self.state == "wagered":
            if text == self._text:
                return actions
            actions += self._taken_back()
        if text and self.state == "listening":
            self.state, self._text = "wagered", text
            if not words.final:
                actions.append(HoldOpen(_ending(text)))
            actions.append(Answer(text))
        return actions

    def _taken_back(self) -> list[Action]:
        if self.state != "wagered":
            return []
        self.state, self._text = "listening", ""
        return [TakeBack()]

    def _ended(self, event: HardEnd) -> list[Action]:
        self._speaking = False
        if self.state == "wagered":
            self.state = "answering"
            return [Release(self._text, event.last_sample)]
        if self.state == "listening":
            self.state = "idle"
        return []


def _ending(text: str) -> Literal["question", "statement", "unfinished"]:
    """Say how a transcript ends; Whisper hears that from words and melody."""
    bare = text.rstrip("\"')")
    if bare.endswith("?"):
        return "question"
    return "statement" if bare.endswith((".", "!")) and not bare.endswith("...") else "unfinished"
