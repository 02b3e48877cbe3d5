from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path

import pytest

from agent.config.settings import ModelOptions, Settings
from agent.models.registry import (
    RECOGNISERS,
    STOP_WORDS,
    TURN_JUDGES,
    VOICES,
    fetch_recogniser,
    load_recogniser,
    load_turn_judge,
    load_voice,
    row_costs,
)
from audio.errors import BadVoice, EarsUnavailable, VoiceUnavailable
from reasoning.engine.decoder import Decoder
from reasoning.engine.drafts import ROW_COSTS
from reasoning.errors import BadModel, StoreError, UnknownModel
from reasoning.formats.gguf import open_gguf
from reasoning.native.library import load
from reasoning.options import EngineOptions
from reasoning.store.catalogue import CATALOGUE, CatalogueFile, ModelEntry, Use
from reasoning.store.store import Progress, Store
from tests.reasoning.tiny_models import LLAMA, write_tiny


@pytest.mark.parametrize(
    ("use", "loaders"),
    [(Use.ASR, RECOGNISERS), (Use.VOICE, VOICES), (Use.TURN, TURN_JUDGES), (Use.STOP, STOP_WORDS)],
)
def test_every_model_of_the_catalogue_has_a_loader(use: Use, loaders: dict[str, object]) -> None:
    names = [entry.name for entry in CATALOGUE.values() if entry.use is use]
    assert names
    for name in names:
        assert sum(name.startswith(family) for family in loaders) == 1, name


def test_a_name_that_nothing_loads_says_which_names_something_does(tmp_path: Path) -> None:
    settings = Settings(models=ModelOptions(asr="parakeet", voice="kokoro", turn="none"))
    with pytest.raises(UnknownModel, match=r"'parakeet'.*begins with whisper"):
        load_recogniser(tmp_path, settings)
    with pytest.raises(BadVoice, match=r"'kokoro'.*kokoro-af_heart"):
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


@pytest.mark.parametrize("family", ["whisper", "moonshine"])
def test_a_folder_of_the_users_is_named_behind_its_family(tmp_path: Path, family: str) -> None:
    options = ModelOptions(asr=f"{family}:{tmp_path}")
    store = Store(tmp_path / "cache", offline=True)
    assert fetch_recogniser(options, store, lambda _: None) == tmp_path
    with pytest.raises(EarsUnavailable, match=re.escape(str(tmp_path))):
        load_recogniser(tmp_path, Settings(models=options))
    with pytest.raises(BadModel, match="there is no folder /nowhere"):
        fetch_recogniser(ModelOptions(asr=f"{family}:/nowhere"), store, lambda _: None)


def test_ears_that_were_chosen_and_cannot_be_had_are_replaced_with_a_word_by_those_that_are_set(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "model.bin").write_bytes(b"tiny")
    names = ("whisper-tiny.en", "whisper-base")
    files = {name: CatalogueFile("model.bin", 4, sha256(name[8:12].encode()).hexdigest(), ()) for name in names}
    catalogue = {name: ModelEntry(name, Use.ASR, "MIT", "", (file,)) for name, file in files.items()}
    store = Store(tmp_path / "cache", offline=True, local_dir=tmp_path / "mine", catalogue=catalogue)
    told: list[Progress] = []
    options = ModelOptions(asr="whisper-base")
    folder = fetch_recogniser(options, store, told.append, "whisper-tiny.en")
    assert folder.name == "whisper-tiny.en"
    assert any("whisper-tiny.en hears meanwhile" in progress.note for progress in told)
    with pytest.raises(StoreError):
        fetch_recogniser(options, store, told.append)


def test_drafts_are_made_where_they_change_no_token_and_their_rows_are_known(tmp_path: Path) -> None:
    file = open_gguf(write_tiny(tmp_path / "tiny.gguf", LLAMA, "Q8_0"))
    assert row_costs(Decoder(file, native="off"), EngineOptions()) == ()
    kernels = load("auto")
    if kernels is None:
        pytest.skip("there are no kernels here")
    decoder = Decoder(file, native="auto")
    assert row_costs(decoder, EngineOptions()) == ROW_COSTS.get(kernels.name, ())
    assert row_costs(decoder, EngineOptions(drafts="off")) == ()
    assert row_costs(Decoder(file, native="generic"), EngineOptions()) == ()
