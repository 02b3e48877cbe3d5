"""Drives the protocol and checks, after every event, what must hold whatever a client sends."""

from __future__ import annotations

import itertools
from typing import Any

from agent.realtime.protocol import messages
from agent.realtime.protocol.messages import Command, Happening, SendEvent
from agent.realtime.protocol.protocol import Protocol

_BELOW_RESPONSE = "response."


class Rig:
    """A protocol with somebody behind it who remembers what was asked for."""

    def __init__(self, extensions: frozenset[str] = frozenset()) -> None:
        counter = itertools.count(1)
        self.protocol = Protocol(
            model="m", voice="joe", new_id=lambda kind: f"{kind}_{next(counter)}", expires_at=1, extensions=extensions
        )
        self.now_s = 0.0
        self.events: list[dict[str, Any]] = []
        self.commands: list[Command] = []
        self.begun: list[str] = []
        """Responses that were handed to the parts behind and have not ended."""
        self._order: list[str] = []
        self._open: dict[str, set[str]] = {}
        self._done: set[str] = set()
        self._deaf: set[str] = set()
        self._in_band: set[str] = set()
        """Responses whose sound must not come any more."""
        self._take(self.protocol.open())

    def send(self, kind: str, **content: object) -> list[dict[str, Any]]:
        """Send as a client; give the answers."""
        return self.raw({"type": kind, "event_id": "mine", **content})

    def raw(self, event: object) -> list[dict[str, Any]]:
        start = len(self.events)
        self._take(self.protocol.receive(event, self.now_s))
        answers = self.events[start:]
        given = event.get("event_id") if isinstance(event, dict) else None
        for answer in answers:
            if answer["type"] == "error":
                assert answer["error"]["event_id"] == (given if isinstance(given, str) else None)
                assert answer["error"]["message"]
        assert sum(answer["type"] == "error" for answer in answers) <= 1
        return answers

    def tell(self, happening: Happening) -> list[dict[str, Any]]:
        start = len(self.events)
        self._take(self.protocol.told(happening, self.now_s))
        return self.events[start:]

    def say(self, text: str, seconds: float = 1.0, response: str | None = None) -> list[dict[str, Any]]:
        samples = round(24_000 * seconds)
        response_id = response or self.begun[-1]
        return self.tell(messages.Said(response_id, text, bytes(2 * samples), samples))

    def types(self, start: int = 0) -> list[str]:
        return [event["type"] for event in self.events[start:]]

    def _take(self, commands: list[Command]) -> None:
        for command in commands:
            self.commands.append(command)
            match command:
                case SendEvent(event):
                    self.events.append(dict(event))
                    self._check(dict(event))
                case messages.Respond(response_id=response_id):
                    assert response_id in self._open
                    self.begun.append(response_id)
                case messages.Stop(response_id) if response_id in self.begun:
                    self.begun.remove(response_id)

    def _check(self, event: dict[str, Any]) -> None:
        kind = event["type"]
        if kind == "input_audio_buffer.speech_started":
            detection = self.protocol.detection
            # What is made beside the conversation is no part of what the user interrupts.
            self._deaf |= self._in_band if detection is not None and detection.interrupt_response else set()
        if kind == "response.output_audio.delta":
            assert event["response_id"] not in self._deaf
        if kind == "response.created":
            response_id = event["response"]["id"]
            assert response_id not in self._open
            assert response_id not in self._done
            self._open[response_id] = set()
            self._in_band |= set() if event["response"]["conversation_id"] is None else {response_id}
        elif kind == "response.done":
            response = event["response"]
            assert not self._open.pop(response["id"]), "an item was left open"
            self._done.add(response["id"])
            self._in_band.discard(response["id"])
            assert response["usage"]["total_tokens"] >= 0
            assert {"status_details", "output", "metadata"} <= response.keys()
            if response["id"] in self.begun:
                self.begun.remove(response["id"])
        elif kind.startswith(_BELOW_RESPONSE):
            items = self._open[event["response_id"]]
            if kind == "response.output_item.added":
                items.add(event["item"]["id"])
            elif kind == "response.output_item.done":
                items.remove(event["item"]["id"])
            else:
                assert event["item_id"] in items
        self._check_list(kind, event)

    def _check_list(self, kind: str, event: dict[str, Any]) -> None:
        if kind == "conversation.item.added":
            item_id, previous = event["item"]["id"], event["previous_item_id"]
            assert item_id not in self._order
            self._order.insert(0 if previous is None else self._order.index(previous) + 1, item_id)
        elif kind == "conversation.item.deleted":
            self._order.remove(event["item_id"])
        elif kind == "conversation.item.done":
            assert event["item"]["id"] in self._order

    def settled(self) -> None:
        """Check the end: the client's list is the server's."""
        assert self._order == [item.id for item in self.protocol.items]
        assert bool(self._open) == self.protocol.responding
