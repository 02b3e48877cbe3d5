"""Plain requests to a robot in English. Data only."""

from __future__ import annotations

from typing import Final

from languages.language import CommandPart, CommandWords

_GO: Final = (
    *("go", "going", "drive", "driving", "head", "move", "come", "coming", "return", "run", "travel", "walk", "visit"),
    *(
        "get",
        "proceed",
        "continue",
        "pass",
        "swing",
        "pop",
        "off",
        "drive on",
        "go on",
        "make your way",
        "find your way",
    ),
    *("take yourself", "get yourself", "bring yourself", "position yourself", "take up position", "be", "pay a visit"),
    *("i want you", "i need you", "we need you", "they need you", "we want you", "they want you", "your next spot has"),
    *("stop by", "start with", "finish", "end up", "turn back", "show up", "your target is"),
)
_CARRY: Final = ("bring", "carry", "take", "deliver", "transport", "move it", "move this", "haul")
_PICK: Final = (
    *("pick", "pick up", "collect", "fetch", "grab", "load", "lift", "take up", "take on", "load up", "get hold of"),
)
_DROP: Final = (*("put", "put down", "set down", "drop", "drop off", "unload", "leave", "lay down", "set"),)
_WAIT: Final = ("wait", "waiting", "stay", "remain", "hold on", "hang on", "rest", "stand", "stand still", "spend")
_AND: Final = (
    *("and", "then", "and then", "after that", "afterwards", "and after that", "first", "next", "finally", "second"),
    *("when you are done", "when you're done", "on your way to", "and finally", "and afterwards", "last"),
)
_OBJECT: Final = (
    *("it", "this", "that", "box", "boxes", "parcel", "package", "the load", "crate", "something", "thing", "item"),
    *("them", "these", "that lies", "that stands", "that is", "which is", "which lies", "what is", "lying", "standing"),
    *("what lies", "what stands", "waiting for you"),
)
_SAID: Final = (
    *("please", "would", "could", "can", "will", "you", "mind", "kindly", "just", "now", "the", "a", "an", "to", "at"),
    *(
        "in",
        "into",
        "on",
        "onto",
        "over",
        "up",
        "down",
        "along",
        "by",
        "off",
        "out",
        "back",
        "again",
        "of",
        "for",
        "us",
    ),
    *("me", "yourself", "way", "straight", "right", "quickly", "ok", "okay", "robot", "hey", "with", "and back"),
    *("your", "as far as", "all right", "go ahead and", "ahead", "time to charge", "time to recharge", "position"),
    *("point", "coordinates", "spot", "metres", "meters", "metre", "meter", "past"),
    *("quick", "little", "friendly", "big", "our", "hello", "arm", "battery", "charger", "so", "well"),
)
_AUDIENCE: Final = ("visitors", "guests", "visitor", "guest", "everybody", "everyone", "children", "crowd", "camera")

COMMANDS: Final = CommandWords(
    phrases={
        **dict.fromkeys(_SAID, CommandPart.SAID),
        **dict.fromkeys(_AUDIENCE, CommandPart.AUDIENCE),
        **dict.fromkeys(_OBJECT, CommandPart.OBJECT),
        **dict.fromkeys(_GO, CommandPart.GO),
        **dict.fromkeys(_CARRY, CommandPart.CARRY),
        **dict.fromkeys(_PICK, CommandPart.PICK),
        **dict.fromkeys(_DROP, CommandPart.DROP),
        **dict.fromkeys(_WAIT, CommandPart.WAIT),
        **dict.fromkeys(_AND, CommandPart.AND),
        **dict.fromkeys(("there", "in there", "over there"), CommandPart.THERE),
        **dict.fromkeys(("or", "either"), CommandPart.OR),
        **dict.fromkeys(("here", "right here", "where you are"), CommandPart.HERE),
        **dict.fromkeys(("from",), CommandPart.FROM),
        **dict.fromkeys(("give", "say", "show", "greet", "do", "raise"), CommandPart.SHOW),
        **dict.fromkeys(("second", "seconds"), CommandPart.SECONDS),
        **dict.fromkeys(("x", "x is", "x equals", "ex"), CommandPart.X),
        **dict.fromkeys(("y", "y is", "y equals", "why"), CommandPart.Y),
    },
    skills={
        **dict.fromkeys(("charge", "charging", "recharge", "plug yourself in", "plug in", "your dock"), "dock"),
        **dict.fromkeys(("waving", "a wave", "wave hello"), "wave"),
    },
    sounds_like={"for": 4.0, "fore": 4.0, "to": 2.0, "too": 2.0, "won": 1.0, "ate": 8.0},
)
