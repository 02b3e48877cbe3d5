"""Facts and events in English, to see in a test what a user is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.robot.telling import told, told_event
from languages.known import language_of

if TYPE_CHECKING:
    from robots.events import Event
    from robots.facts.fact import Fact

ENGLISH = language_of("en")


def said(fact: Fact | None) -> str:
    return "" if fact is None else told(fact, ENGLISH)


def reported(event: Event, robot: str = "R1") -> str:
    return told_event(event, robot, ENGLISH)
