from __future__ import annotations

from pathlib import Path

import pytest

from agent.config.settings import ModelOptions, Settings
from agent.models.registry import (
    RECOGNISERS,
    TURN_JUDGES,
    VOICES,
    load_recogniser,
    load_turn_judge,
    load_voice,
)
from audio.errors import EarsUnavailable, VoiceUnavailable
from reasoning.errors import UnknownModel
from reasoning.store.catalogue import CATALOGUE, Use


@pytest.mark.parametrize(("use", "loaders"), [(Use.ASR, RECOGNISERS), (Use.VOICE, VOICES), (Use.TURN, TURN_JUDGES)])
def test_every_model_of_the_catalogue_has_a_loader(use: Use, loaders: dict[str, object]) -> None:
    names = [entry.name for entry in CATALOGUE.values() if entry.use is use]
    assert names
    for name in names:
        assert sum(name.startswith(family) for family in loaders) == 1, name


def test_a_name_that_nothing_loads_says_which_names_something_does(tmp_path: Path) -> None:
    settings = Settings(models=ModelOptions(asr="parakeet", voice="kokoro", turn="none"))
    with pytest.raises(UnknownModel, match=r"'parakeet'.*begins with whisper"):
        load_recogniser(tmp_path, settings)
    with pytest.raises(UnknownModel, match=r"'kokoro'.*begins with piper"):
        load_voice(tmp_path, settings)
    with pytest.raises(UnknownModel, match=r"'none'.*begins with smart-turn"):
        load_turn_judge(tmp_path, settings)


def test_an_empty_folder_is_told_with_what_mends_it(tmp_path: Path) -> None:
    with pytest.raises(VoiceUnavailable, match="descant models pull"):
        load_voice(tmp_path, Settings())
    with pytest.raises(EarsUnavailable, match="descant models pull"):
        load_recogniser(tmp_path, Settings())
    with pytest.raises(EarsUnavailable):
        load_turn_judge(tmp_path, Settings())
    assert load_turn_judge(None, Settings()) is None
