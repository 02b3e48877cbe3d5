"""Which policies are in force. All of them are, but in measurements of what each is worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class PolicySwitches:
    """Turns single policies off, to measure what they bring."""

    grounding: bool = True
    """Take a sentence back when it holds a number or a name that neither the user nor the thoughts contain."""
    arithmetic: bool = True
    """Put the result of a calculation right that is surely wrong, before the thoughts go on."""
    readout: bool = True
    """Say a finished step as it stands where it is a plain calculation; else the writer tells it."""
    resume: bool = True
    """Go on with the thoughts of an interrupted turn, as far as the new words leave them standing; else begin anew."""


ALL_POLICIES: Final = PolicySwitches()
