"""`descant voices` as a command: the list, and what is said of voices that cannot speak."""

from __future__ import annotations

import pytest

from tests.agent.command_line import Descant, descant

__all__ = ["descant"]


def test_the_list_says_what_each_voice_speaks_and_whether_it_can_here(
    descant: Descant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    done = descant("voices")
    assert done.code == 0, done.err
    rows = {line.split()[0]: line for line in done.out.splitlines() if line.strip()}
    assert "en-US" in rows["piper-en-us-joe"]
    assert "its model is not in the cache" in rows["kokoro-ef_dora"]
    assert "female" in rows["kokoro-ef_dora"]
    assert "GPL-3.0-or-later" in rows["espeak-de"]
    assert "0.7–1.4" in rows["espeak-de"]
    assert "in use: piper-en-us-joe" in done.out
    assert not (descant.home / "models").exists()


def test_the_list_may_be_of_one_language(descant: Descant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    done = descant("voices", "--language", "es-MX")
    assert [line.split()[0] for line in done.out.splitlines()[1:-1]] == [
        *("kokoro-ef_dora", "kokoro-em_alex", "kokoro-em_santa"),
        "espeak-es",
    ]
    none = descant("voices", "--language", "sw")
    assert none.code == 2
    assert "no voice speaks 'sw'" in none.line


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["play", "espeak-dee"], "did you mean espeak-de?"),
        (["play", "kokoro-ef_dora"], "descant models pull kokoro-82m"),
        (["play", "espeak-vi"], "give it a text with --text"),
        (["play", "espeak-de", "--pitch", "3"], "voice.pitch = 3.0 (command line) is not allowed: from 0.7 to 1.4"),
        (["play", "espeak-de", "--text", "😀", "--output", "nothing.wav"], "nothing to say"),
    ],
)
def test_a_voice_that_cannot_speak_is_told_in_a_line(descant: Descant, arguments: list[str], told: str) -> None:
    pytest.importorskip("espeakng_loader")
    pytest.importorskip("kokoro_onnx")
    done = descant("voices", *arguments)
    assert (done.code, done.out) == (2, "")
    assert told in done.line
    assert not (descant.home / "nothing.wav").exists()


def test_a_sample_is_written_and_a_quicker_one_is_shorter(descant: Descant) -> None:
    pytest.importorskip("espeakng_loader")
    file = descant.home / "de.wav"
    done = descant("voices", "play", "espeak-de", "--output", str(file), "--pitch", "1.2")
    assert done.code == 0, done.err
    assert "by espeak-de, 22050 Hz" in done.out
    usual = file.stat().st_size
    descant("voices", "play", "espeak-de", "--output", str(file), "--speed", "1.5")
    assert 40_000 < file.stat().st_size < 0.8 * usual
