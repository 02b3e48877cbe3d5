from __future__ import annotations

import numpy as np
import pytest

from agent.realtime.protocol.fields import Alaw, Mulaw, Pcm
from agent.realtime.sound import _TABLES, Incoming, Outgoing

FORMS: list[Pcm | Mulaw | Alaw] = [Pcm(type="audio/pcm"), Mulaw(type="audio/pcmu"), Alaw(type="audio/pcma")]


def tone(rate: int, seconds: float = 1.0) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    return (12_000 * np.sin(2 * np.pi * 440 * np.arange(round(rate * seconds)) / rate)).astype(np.int16)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.type)
def test_what_goes_out_comes_in_again(form: Pcm | Mulaw | Alaw) -> None:
    wire = Outgoing(form, 22_050).convert(tone(22_050))
    outgoing = Outgoing(form, 22_050)
    assert len(wire) == outgoing.rate * outgoing.sample_bytes
    heard = Incoming(form).receive(wire + bytes([0xD5 if form.type == "audio/pcma" else 0xFF]) * 4800)
    wanted = tone(16_000).astype(np.float32) / 32768
    middle = slice(4000, 12_000)
    shifts = [float(np.abs(heard[4000 + by : 12_000 + by] - wanted[middle]).max()) for by in range(-20, 21)]
    assert min(shifts) < 0.05


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.type)
def test_cutting_a_stream_into_pieces_makes_no_difference(form: Pcm | Mulaw | Alaw) -> None:
    wire = Outgoing(form, 24_000).convert(tone(24_000))
    whole = Incoming(form).receive(wire)
    pieces = Incoming(form)
    cut = np.concatenate([pieces.receive(wire[start : start + 962]) for start in range(0, len(wire), 962)])
    same = min(len(whole), len(cut)) - 2000
    assert np.abs(whole[:same] - cut[:same]).max() < 1e-4


def test_g711_after_the_recommendation() -> None:
    """Ends of the scale and silence, from the tables of ITU-T G.711."""

    assert [int(_TABLES["audio/pcmu"][code]) for code in (0x00, 0x7F, 0x80, 0xFF)] == [-32124, 0, 32124, 0]
    assert [int(_TABLES["audio/pcma"][code]) for code in (0x2A, 0xAA, 0x55, 0xD5)] == [-32256, 32256, -8, 8]


def test_an_empty_clip_is_no_sound() -> None:
    assert Outgoing(FORMS[0], 22_050).convert(np.zeros(0, np.int16)) == b""
