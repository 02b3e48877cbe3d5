from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from agent.config.field_docs import field_docs
from agent.config.settings import Settings, default_file, load, render
from agent.errors import ConfigError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for variable in ("DESCANT_CONFIG", "DESCANT_DEBUG", "DESCANT_MODELS__CACHE_DIR", "DESCANT_MODELS__OFFLINE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_without_anything_the_defaults_hold(home: Path) -> None:
    loaded = load()
    assert loaded.settings.models.llm == "qwen2.5-coder-1.5b"
    assert loaded.settings.models.cache_dir == home / "cache" / "descant" / "models"
    assert (loaded.origins, loaded.file) == ({}, None)


def test_the_environment_beats_the_file_and_the_command_line_beats_both(monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(default_file(), '[models]\nllm = "a"\nasr = "b"\nvoice = "c"\n')
    monkeypatch.setenv("DESCANT_MODELS__ASR", "d")
    monkeypatch.setenv("DESCANT_MODELS__VOICE", "e")
    loaded = load(overrides={"models.voice": "f", "models.llm": None})
    models = loaded.settings.models
    assert (models.llm, models.asr, models.voice) == ("a", "d", "f")
    assert loaded.origins == {
        "models.llm": str(file),
        "models.asr": "environment variable DESCANT_MODELS__ASR",
        "models.voice": "command line",
    }


def test_a_named_file_replaces_the_default_one(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(default_file(), '[models]\nllm = "default"\n')
    monkeypatch.setenv("DESCANT_CONFIG", str(write(home / "env.toml", '[models]\nllm = "variable"\n')))
    assert load().settings.models.llm == "variable"
    assert load(write(home / "own.toml", '[models]\nllm = "named"\n')).settings.models.llm == "named"


def test_home_is_opened_in_paths(home: Path) -> None:
    models = load(overrides={"models.cache_dir": "~/m", "models.local_dir": "~/n"}).settings.models
    assert (models.cache_dir, models.local_dir) == (home / "m", home / "n")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[models]\nlmm = 'x'", r"no setting models\.lmm = 'x' \(.*config\.toml\); did you mean models\.llm"),
        ("[model]\nllm = 'x'", r"no setting model\.llm = 'x'.*did you mean models\.llm"),
        ("models = 3", r"no setting models = 3"),
        ("[models]\noffline = 'perhaps'", r"models\.offline = 'perhaps' \(.*config\.toml\): .*valid boolean"),
        ("[ears]\nthreads = 'two'", r"ears\.threads = 'two' \(.*config\.toml\): .*valid integer"),
        ("[models\n", r"config\.toml is not valid TOML"),
    ],
)
def test_what_is_wrong_in_a_file_is_named_with_its_place(text: str, told: str) -> None:
    write(default_file(), text)
    with pytest.raises(ConfigError, match=told) as error:
        load()
    assert error.value.exit_code == 2
    assert "\n" not in str(error.value)


def test_bytes_that_are_no_text_are_told(home: Path) -> None:
    (home / "x.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not valid TOML"):
        load(home / "x.toml")


def test_a_file_that_is_not_there_is_told(home: Path) -> None:
    with pytest.raises(ConfigError, match=r"no settings file '.*none\.toml'"):
        load(home / "none.toml")


@pytest.mark.parametrize(
    ("variable", "told"),
    [
        ("DESCANT_MODELS__OFLINE", r"models\.ofline.*DESCANT_MODELS__OFLINE\); did you mean models\.offline"),
        ("DESCANT_MODLES__OFFLINE", "DESCANT_MODLES__OFFLINE names no setting; did you mean DESCANT_MODELS__OFFLINE"),
        ("DESCANT_OFFLINE", "DESCANT_OFFLINE names no setting"),
        ("DESCANT_MODELS__OFFLINE", r"models\.offline = 'x' \(environment variable DESCANT_MODELS__OFFLINE\)"),
    ],
)
def test_what_is_wrong_in_the_environment_is_named(monkeypatch: pytest.MonkeyPatch, variable: str, told: str) -> None:
    monkeypatch.setenv(variable, "x")
    with pytest.raises(ConfigError, match=told):
        load()


def test_what_is_shown_can_be_read_again(home: Path) -> None:
    loaded = load(overrides={"models.llm": 'quo"te\\ \n ü', "models.offline": True, "loop.turn_s": 12.5})
    text = render(loaded)
    assert tomllib.loads(text)["models"]["llm"] == 'quo"te\\ \n ü'
    assert load(write(home / "again.toml", text)).settings == loaded.settings
    assert "[command line]\noffline = true" in text
    assert "# local_dir =" in text


@pytest.mark.parametrize("group", Settings.model_fields)
def test_every_setting_is_explained(group: str) -> None:
    options = getattr(load().settings, group)
    docs = field_docs(type(options))
    assert {item.name for item in fields(options)} == docs.keys()
    assert all(re.search(r"[.?]$", text) for text in docs.values())


def test_the_environment_is_not_read_at_import() -> None:
    code = (
        "import os; before = os.environ; seen = []\n"
        "class Watch(dict):\n"
        "    def get(self, key, default=None): seen.append(key); return super().get(key, default)\n"
        "    def __getitem__(self, key): seen.append(key); return super().__getitem__(key)\n"
        "    def __iter__(self): seen.append('DESCANT_*'); return super().__iter__()\n"
        "import pydantic_settings, platformdirs, audio.options\n"
        "os.environ = Watch(before)\n"
        "import agent.config.settings\n"
        "assert not [key for key in seen if key.startswith(('DESCANT', 'XDG'))], seen\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
