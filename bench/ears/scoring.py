"""Word errors of what was heard, kind by kind. Sums by jiwer, spelling of numbers by Whisper's own normaliser."""

from __future__ import annotations

import re
from importlib.util import find_spec
from statistics import median
from typing import TYPE_CHECKING, Any

from bench.errors import BenchExtraMissing
from bench.statistics import paired, percentile, ratio

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.ears.listening import HeardClip


def require() -> None:
    """Say early that a library is missing. Raises BenchExtraMissing."""
    if find_spec("jiwer") is None or find_spec("whisper_normalizer") is None:
        raise BenchExtraMissing(
            "word errors need jiwer and whisper-normalizer; add them with: pip install -e 'bench[ears]'"
        )


def summarise(heard: Sequence[HeardClip]) -> dict[str, Any]:
    """Give the figures of one row: of all clips, and word errors by kind of clip."""
    written = [clip for clip in heard if clip.said]
    kinds = sorted({clip.kind for clip in written})
    waits = [wait for clip in heard for wait in clip.waits_s[-1:]]
    firsts = [clip.first_partial_s for clip in heard if clip.first_partial_s is not None]
    figures = word_errors(written) | {
        "clips": len(heard),
        "kinds": {kind: word_errors([clip for clip in written if clip.kind == kind]) for kind in kinds},
        "cpu_per_s": sum(clip.cpu_s for clip in heard) / sum(clip.sound_s for clip in heard),
        "final_s_p50": median(clip.final_s for clip in heard),
        "first_partial_s_p50": median(firsts) if firsts else None,
    }
    if waits:
        figures |= {
            "cut": sum(clip.turns > 1 for clip in heard),
            "end_of_turn_s_p50": median(waits),
            "end_of_turn_s_p90": percentile(waits, 90),
        }
    return figures


def word_errors(heard: Sequence[HeardClip]) -> dict[str, Any]:
    """Give the word error rate, the words that were lost at the end of clips, and those that nobody said."""
    import jiwer  # noqa: PLC0415 - optional
    from whisper_normalizer.english import EnglishTextNormalizer  # noqa: PLC0415 - optional

    normal = EnglishTextNormalizer()

    def evened(text: str) -> str:
        # "1849", "1, 8, 4, 9" and "one eight four nine" are the same words. The normaliser takes a zero in front away,
        # and writes a one that stands alone as a word.
        kept = re.sub(r"\b0\d+", lambda number: " ".join(number[0]), text)
        apart = re.sub(r"(\d)", r" \1 ", normal(kept))
        return " ".join("1" if word == "one" else word for word in apart.split())

    found = jiwer.process_words([evened(clip.said) for clip in heard], [evened(clip.heard) for clip in heard])
    words = found.hits + found.substitutions + found.deletions
    lost = sum(
        chunks[-1].ref_end_idx - chunks[-1].ref_start_idx
        for chunks in found.alignments
        if chunks and chunks[-1].type == "delete"
    )
    errors = found.substitutions + found.deletions + found.insertions
    return {"words": words, "errors": errors, "wer": errors / words, "lost_at_end": lost, "unsaid": found.insertions}


def over_plain(ears: Sequence[HeardClip], plain: Sequence[HeardClip]) -> dict[str, Any]:
    """Give the word errors of the ears over those of the same model alone, clip by clip, with the interval of it."""
    pairs = [(one, other) for one, other in zip(ears, plain, strict=True) if one.said]
    return paired([[word_errors([clip])["errors"] for clip in heard] for heard in zip(*pairs, strict=True)], ratio)
