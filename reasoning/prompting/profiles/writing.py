"""Writes a profile as TOML that `reading` reads again."""

from __future__ import annotations

import json
from dataclasses import asdict
from types import MappingProxyType
from typing import TYPE_CHECKING

from reasoning.prompting.profiles.profile import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reasoning.prompting.profiles.profile import ModelProfile


def as_toml(profile: ModelProfile) -> str:
    """Give the profile as a table of its own; what is as everywhere is left out."""
    lines = [f"[{_value(profile.name)}]", f"models = {_value(profile.models)}"]
    lines += [
        f"{name} = {_value(getattr(profile, name))}"
        for name in ("thinking", "tags", "enough", "told_more")
        if getattr(profile, name) != getattr(UNKNOWN, name)
    ]
    for role in ("thinker", "writer"):
        lines += _inline(f"sampling.{role}", asdict(getattr(profile, role)), asdict(getattr(UNKNOWN, role)))
    lines += _inline("budgets", asdict(profile.budgets), asdict(UNKNOWN.budgets))
    if (measured := profile.calibration) is not None:
        short = {"measured_on": measured.measured_on, "notes": measured.notes}
        lines += _inline("calibration", asdict(measured) if measured.language else short, {"notes": True})
    return "\n".join(lines) + "\n"


def _inline(name: str, values: Mapping[str, object], usual: Mapping[str, object] = MappingProxyType({})) -> list[str]:
    told = [f"{key} = {_value(value)}" for key, value in values.items() if key not in usual or usual[key] != value]
    return [f"{name} = {{ {', '.join(told)} }}"] if told else []


def _value(value: object) -> str:
    # Texts, lists of texts, numbers and truths are written alike in JSON and TOML.
    return json.dumps(value, ensure_ascii=False)
