from __future__ import annotations

import numpy as np
import pytest

from audio.io.resampling import Resampler


@pytest.mark.parametrize(("one", "other"), [(48_000, 16_000), (44_100, 16_000), (22_050, 48_000), (16_000, 16_000)])
def test_pieces_join_without_a_seam(one: int, other: int) -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(one) / one).astype(np.float32)
    resampler = Resampler(one, other)
    got = np.concatenate([resampler.receive(piece) for piece in np.array_split(tone, 50)])
    at = np.arange(len(got)) / other
    expected = np.sin(2 * np.pi * 440 * at)
    inner = slice(other // 20, len(got) - other // 20)
    assert np.abs(got - expected)[inner].max() < 1e-3
    assert 0 <= resampler.held_back <= 0.03 * other
    assert len(got) + resampler.held_back == pytest.approx(other, abs=2)
