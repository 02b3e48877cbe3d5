"""What is installed with Descant and asks for more than a notice is named in the licence section of the README."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def licence_of(distribution: str) -> str:
    """Everything that a distribution says of its licence; nothing where it is not installed."""
    try:
        about = metadata(distribution)
    except PackageNotFoundError:
        return ""
    said = [about["License"], about["License-Expression"], *(about.get_all("Classifier") or [])]
    return " ".join(text for text in said if text and ("License" in text or len(text) < 200))


def test_every_dependency_under_a_copyleft_licence_is_named() -> None:
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("\n## Licence\n")[2]
    extras = PROJECT["optional-dependencies"]
    wanted = [*PROJECT["dependencies"], *(one for extra in extras if extra != "dev" for one in extras[extra])]
    names = [re.match(r"[A-Za-z0-9_.-]+", one)[0] for one in wanted]  # type: ignore[index]
    copyleft = {name for name in names if "GPL" in licence_of(name)}
    assert copyleft >= {"soxr", "num2words"}
    assert {name for name in copyleft if name.removesuffix("-tts") not in section} == set()
