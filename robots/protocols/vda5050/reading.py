"""How single values of a message are read: within their bounds, and, where a robot wrote them, as far as they can be.

An unknown value of an enumeration is read as the most careful one that is known and noted
(`robots.facts.messages.ValueRead`), null is an empty list, 7.0 is 7, long texts are cut.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, TypeVar

from pydantic import AfterValidator, Field, GetCoreSchemaHandler, JsonValue, ValidationInfo
from pydantic_core import core_schema

from robots.facts.messages import ValueRead
from robots.untrusted import plain

UINT32 = 2**32

T = TypeVar("T")

WORD_CHARS = 40
"""Most characters of an unknown word that are kept."""
READ_KEPT = 16
"""Most unknown words of one message that are noted."""


@dataclass(frozen=True, slots=True)
class OrElse:
    """Gives what is refused a second chance: `mend` makes something else of it, or raises ValueError.

    What is valid at first is never looked at by Python. Both chances have an empty name in the place of an error.
    """

    mend: Callable[[object, ValidationInfo], object]

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Return the schema: as it was, or mended."""
        strict = handler(source)
        mended = core_schema.with_info_before_validator_function(self.mend, strict)
        return core_schema.union_schema([(strict, ""), (mended, "")], mode="left_to_right")


def _whole(value: object, _: ValidationInfo) -> object:
    """Read 7.0 as 7, as programs write that know no whole numbers, and null as 0."""
    if value is None:
        return 0
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _empty(value: object, _: ValidationInfo) -> object:
    """Read null as an empty list, as many serializers write one."""
    if value is not None:
        raise ValueError
    return ()


def shortened(most: int) -> OrElse:
    """Cut a text, and read null as an empty one."""

    def mend(value: object, _: ValidationInfo) -> object:
        return "" if value is None else value[:most] if isinstance(value, str) else value

    return OrElse(mend)


def carefully(kind: type[StrEnum], careful: StrEnum, name: str) -> OrElse:
    """Read an unknown text as `careful`, and note it where the context of the validation is a list."""

    def mend(value: object, info: ValidationInfo) -> object:
        if not isinstance(value, str):
            return value
        # What was mended before is seen here as Python has it.
        if value in set(kind):
            return kind(value)
        if isinstance(info.context, list) and len(info.context) < READ_KEPT:
            info.context.append(ValueRead(name, plain(value, WORD_CHARS), str(careful)))
        return careful

    return OrElse(mend)


Uint32 = Annotated[int, Field(ge=0, lt=UINT32)]
Count = Annotated[Uint32, OrElse(_whole)]
"""A number as a robot writes it."""
Identifier = Annotated[str, Field(max_length=256)]
Text = Annotated[str, Field(max_length=4096)]
Name = Annotated[Identifier, shortened(256)]
"""An identifier as a robot writes it: none of ours is so long that cutting it could make another's of it."""
Words = Annotated[Text, shortened(4096)]
Listed = Annotated[tuple[T, ...], OrElse(_empty)]


def _finite(value: JsonValue) -> JsonValue:
    """Refuse NaN and infinity at any depth: JSON has neither."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("NaN and infinity are not JSON")
    if isinstance(value, dict):
        for item in value.values():
            _finite(item)
    if isinstance(value, list):
        for item in value:
            _finite(item)
    return value


Json = Annotated[JsonValue, AfterValidator(_finite)]
Angle = Annotated[float, Field(ge=-3.14159265359, le=3.14159265359)]
