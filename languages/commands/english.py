"""Plain requests to a robot in English. Data only."""

from __future__ import annotations

from typing import Final

from languages.language import CommandPart, CommandWords

_GO: Final = (
    *("go", "drive", "head", "move", "come", "return", "run", "travel", "walk", "visit", "get", "proceed", "continue"),
    *("pass", "swing", "pop", "drive on", "go on", "head on", "move on", "off you go", "set off", "off to", "stop by"),
    *("make your way", "find your way", "turn back", "show up", "end up", "finish in", "finish at", "start with"),
    *("take yourself", "get yourself", "bring yourself", "position yourself", "take up position", "be", "pay a visit"),
    *("i want you", "i need you", "we need you", "they need you", "we want you", "they want you", "your next spot has"),
    *("your target is", "mind going", "mind driving", "mind coming", "mind moving", "mind heading", "mind returning"),
)
_CARRY: Final = ("bring", "carry", "take", "deliver", "transport", "move it", "move this", "haul")
_PICK: Final = (
    *("pick", "pick up", "collect", "fetch", "grab", "load", "lift", "take up", "take on", "load up", "get hold of"),
)
_DROP: Final = ("put", "put down", "set down", "drop", "drop off", "unload", "leave", "lay down", "set")
_WAIT: Final = (
    *("wait", "stay", "remain", "hold on", "hang on", "rest", "stand", "stand still", "spend", "mind waiting"),
)
_AND: Final = ("and", "then", "and then", "on your way to", "and after that", "and afterwards")
_NEXT: Final = (*("after that", "afterwards", "next", "when you are done", "when you're done"),)
_TO: Final = (
    *("to", "into", "onto", "on to", "on into", "over to", "up to", "down to", "back to", "back into", "along to"),
    *("out to", "out into", "out onto", "as far as"),
)
_AT: Final = (
    *("at", "in", "on", "by", "over at", "over in", "over by", "back at", "back in", "out in", "out at", "off at"),
    *("off in", "off on", "off by"),
)
_OBJECT: Final = (
    *("it", "this", "that", "box", "boxes", "parcel", "package", "the load", "crate", "something", "thing", "item"),
    *("them", "these", "that lies", "that stands", "that is", "which is", "which lies", "what is", "lying", "standing"),
    *("what lies", "what stands", "waiting for you"),
)
_SAID: Final = (
    *("please", "would", "could", "can", "will", "you", "kindly", "just", "now"),
    *("the", "a", "an", "up", "down", "back", "again", "of", "for", "us", "me", "yourself", "way", "straight"),
    *("right", "quickly", "ok", "okay", "robot", "hey", "with you", "your", "all right", "go ahead and", "ahead"),
    *("time to charge", "time to recharge", "position", "point", "coordinates", "spot", "metres", "meters", "metre"),
    *("meter", "quick", "little", "friendly", "big", "our", "hello", "arm", "battery", "charger", "so", "well"),
    *("to us", "to me", "at us", "at me", "to the charger"),
)
_AUDIENCE: Final = (
    *("visitors", "guests", "visitor", "guest", "everybody", "everyone", "children", "crowd", "camera", "the robot"),
)

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
        **dict.fromkeys(_NEXT, CommandPart.NEXT),
        **dict.fromkeys(("first",), CommandPart.FIRST),
        **dict.fromkeys(("last", "finally", "and finally"), CommandPart.LAST),
        **dict.fromkeys(("there", "in there", "over there"), CommandPart.THERE),
        **dict.fromkeys(("or", "either"), CommandPart.OR),
        **dict.fromkeys(("here", "right here", "over here", "where you are"), CommandPart.HERE),
        **dict.fromkeys(("from", "out of", "off", "off of", "away from"), CommandPart.FROM),
        **dict.fromkeys(_TO, CommandPart.TO),
        **dict.fromkeys(_AT, CommandPart.AT),
        **dict.fromkeys(("give", "say hello", "show", "greet", "do", "raise"), CommandPart.SHOW),
        **dict.fromkeys(("second", "seconds"), CommandPart.SECONDS),
        **dict.fromkeys(("x", "x is", "x equals", "ex"), CommandPart.X),
        **dict.fromkeys(("y", "y is", "y equals", "why"), CommandPart.Y),
    },
    skills={
        **dict.fromkeys(
            ("charge", "recharge", "mind charging", "for charging", "plug yourself in", "plug in", "your dock"), "dock"
        ),
        **dict.fromkeys(("mind waving", "a wave", "with a wave", "wave hello"), "wave"),
    },
    sounds_like={"for": 4.0, "fore": 4.0, "to": 2.0, "too": 2.0, "won": 1.0, "ate": 8.0},
    places={"home": "home", "back home": "home"},
    loaded=frozenset({"unload", "move it", "move this"}),
    goes_at=True,
)
