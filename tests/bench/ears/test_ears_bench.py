from __future__ import annotations

import importlib.util
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from audio.hearing.agreement import Word
from audio.hearing.whisper import Hypothesis
from audio.options import EarsOptions
from bench.ears.listening import HeardClip, stream
from bench.ears.recordings import SpeechClip, clips
from bench.ears.scoring import over_plain, summarise
from bench.errors import ReportError
from tests.e2e.stage.make_recordings import RECORDINGS

if TYPE_CHECKING:
    from pathlib import Path

    from audio.clock import Sound

scored = pytest.mark.skipif(importlib.util.find_spec("jiwer") is None, reason="the extra `ears` of bench is missing")
CLIP = HeardClip("a", "orders", "twenty ounce coffee with milk", "", 1, 0.5, 0.2, (0.6,), 2.0, 0.4)


def heard(*texts: str) -> list[HeardClip]:
    return [replace(CLIP, heard=text) for text in texts]


@scored
def test_words_are_counted_and_numbers_spelled_alike() -> None:
    figures = summarise(
        heard("20 ounce coffee with milk", "twenty ounce coffee", "Twenty ounce, coffee with milk please.")
    )
    # "20" is two of them, digit by digit.
    assert (figures["words"], figures["errors"]) == (18, 3)
    assert (figures["lost_at_end"], figures["unsaid"]) == (2, 1)
    assert figures["kinds"]["orders"]["wer"] == pytest.approx(3 / 18)


@scored
@pytest.mark.parametrize("written", ["01180", "0 1 1 8 0", "0-1-1-8-0", "zero, one, one, eight, zero"])
def test_digits_are_the_same_words_however_they_are_written(written: str) -> None:
    figures = summarise([replace(CLIP, said="the code is oh one one eight zero", heard=f"The code is {written}.")])
    assert (figures["words"], figures["errors"]) == (8, 0)


@scored
def test_ears_are_compared_with_the_model_alone_clip_by_clip() -> None:
    right, wrong = heard("twenty ounce coffee with milk", "twenty pounds coffee with milk")
    without = replace(CLIP, said="", heard="what")
    found = over_plain([wrong, wrong, right, without], [wrong, right, right, without])
    assert (found["items"], found["value"]) == (3, 2.0)
    assert found["low"] <= 2.0 <= found["high"]


@scored
def test_clips_without_a_transcript_count_for_turns_alone() -> None:
    figures = summarise([*heard("twenty ounce coffee with milk"), replace(CLIP, said="", heard="what", turns=2)])
    assert figures["errors"] == 0
    assert (figures["cut"], figures["clips"]) == (1, 2)


@pytest.mark.parametrize(
    ("index", "told"), [(None, "cannot be read"), ("a\tb\n1\t2\n", "no table"), ("file\ttranscript\n", "names 0")]
)
def test_a_folder_that_is_none_is_told(index: str | None, told: str, tmp_path: Path) -> None:
    if index is not None:
        (tmp_path / "index.tsv").write_text(index, encoding="utf-8")
    with pytest.raises(ReportError, match=told):
        clips(tmp_path)


def test_the_index_may_name_kinds(tmp_path: Path) -> None:
    rows = "file\ttranscript\tkind\norder_1.wav\tyes\ttrain\norder_2.wav\tno\t\nx.wav\t\t\n"
    (tmp_path / "index.tsv").write_text(rows, encoding="utf-8")
    assert [clip.kind for clip in clips(tmp_path)] == ["train", "orders", "read aloud"]


class Questioner:
    """Hears a question in every sound."""

    def decode(self, sound: Sound, *, final: bool, expected: str = "") -> Hypothesis:  # noqa: ARG002 - it always hears it
        return Hypothesis((Word("What?", 0.9),), -0.1, 0.0)

    def spot(self, sound: Sound) -> Hypothesis:  # noqa: ARG002 - nothing is there to stop
        return Hypothesis(())


async def test_a_clip_is_heard_with_the_waits_of_a_conversation() -> None:
    found = await stream(SpeechClip(RECORDINGS / "greeting.wav", "what"), Questioner(), None, EarsOptions())
    assert (found.heard, found.turns) == ("What?", 1)
    assert found.waits_s == pytest.approx((0.55,), abs=0.06)
    assert found.first_partial_s is not None
    assert 0 < found.first_partial_s < 1.5
