from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import descant

PUBLIC = {
    *("open", "Agent", "Talk", "Event", "events", "__version__"),
    *("tool", "Tool"),
    *("Recording", "Microphone", "Voice", "Recogniser", "Hypothesis", "Word"),
    *("DescantError", "BadAudio", "BadModel", "BadQuestion", "BadTool", "BadVoice"),
    *("CannotWrite", "ConfigError"),
    *("EarsUnavailable", "EventsUnread"),
    *("EngineFailed", "ModelUnavailable", "NoDevice", "NothingHeard", "TalkBusy", "UnknownModel", "VoiceUnavailable"),
}
"""What may be relied upon; a name is added or taken away here on purpose."""


def test_the_public_names_are_these_and_all_are_there() -> None:
    assert set(descant.__all__) == PUBLIC
    assert list(descant.__all__) == sorted(descant.__all__)
    assert set(dir(descant)) == PUBLIC
    for name in PUBLIC:
        assert getattr(descant, name) is not None


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    assert not hasattr(descant, "Loop")


def test_every_error_is_under_one_root() -> None:
    errors = [name for name in PUBLIC if isinstance(getattr(descant, name), type(descant.DescantError))]
    errors = [name for name in errors if issubclass(getattr(descant, name), Exception)]
    assert len(errors) == 17
    for name in errors:
        assert issubclass(getattr(descant, name), descant.DescantError)
    for room in ("agent", "audio", "reasoning", "robots"):
        tree = vars(import_module(f"{room}.errors")).values()
        mine = [kind for kind in tree if isinstance(kind, type) and issubclass(kind, Exception)]
        assert len(mine) > 3
        assert all(issubclass(kind, descant.DescantError) for kind in mine)


def test_the_import_loads_neither_models_nor_their_libraries() -> None:
    told = "import sys, descant; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True).stdout.split()
    assert "descant" in loaded
    assert not {"torch", "numpy", "pydantic", "jsonschema", "agent", "audio", "languages", "reasoning", "robots"} & set(
        loaded
    )


def test_the_import_is_quick() -> None:
    timed = [sys.executable, "-X", "importtime", "-c", "import descant"]
    least = min(
        int(subprocess.run(timed, capture_output=True, text=True, check=True).stderr.splitlines()[-1].split("|")[1])
        for _ in range(3)
    )
    assert least < 300_000, f"{least} µs"
