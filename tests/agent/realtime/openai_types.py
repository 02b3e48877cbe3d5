"""Every server event against the official client's types, strictly: its own parser lets anything pass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, get_args

from openai.types.realtime import RealtimeServerEvent

if TYPE_CHECKING:
    from pydantic import BaseModel

_MODELS: Final[dict[str, type[BaseModel]]] = {
    name: model
    for model in get_args(get_args(RealtimeServerEvent)[0])
    for name in get_args(model.model_fields["type"].annotation)
}


def check(event: Mapping[str, Any]) -> None:
    """Raises ValidationError where a field has the wrong type, a union no member, or something is missing."""
    _MODELS[event["type"]].model_validate(dict(event))
