from __future__ import annotations

from pathlib import Path

import pytest

from reasoning.prompting.profiles.profile import UNKNOWN, ModelProfile
from reasoning.prompting.profiles.reading import read_profiles, shipped_profiles
from reasoning.prompting.profiles.writing import as_toml
from tests.reasoning.prompting.profiles.test_reading import WHOLE


@pytest.mark.parametrize("profile", [UNKNOWN, *shipped_profiles()], ids=lambda profile: profile.name)
def test_what_is_written_is_read_again(profile: ModelProfile, tmp_path: Path) -> None:
    file = tmp_path / "profiles.toml"
    file.write_text(as_toml(profile), encoding="utf-8")
    (found,) = read_profiles(file)
    assert found == profile


def test_all_that_a_profile_can_hold_is_written(tmp_path: Path) -> None:
    first, second = tmp_path / "first.toml", tmp_path / "second.toml"
    first.write_text(WHOLE, encoding="utf-8")
    second.write_text(as_toml(*read_profiles(first)), encoding="utf-8")
    assert read_profiles(second) == read_profiles(first)
