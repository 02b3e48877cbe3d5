from __future__ import annotations

import os
import re
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audio.clock import FRAME, RATE, Sound
from audio.errors import BadAudio, CannotWrite
from audio.io.sound_files import WavWriter, check_writable, read_sound

TAIL = bytes.fromhex("000000001000800000aa00389b71")


def chunk(name: bytes, body: bytes, size: int | None = None) -> bytes:
    return name + struct.pack("<I", len(body) if size is None else size) + body + b"\0" * (len(body) % 2)


def header(tag: int, channels: int, rate: int, bits: int, *, extensible: bool = False) -> bytes:
    width = (bits + 7) // 8
    fields = (channels, rate, rate * channels * width, channels * width, bits)
    if not extensible:
        return chunk(b"fmt ", struct.pack("<HHIIHH", tag, *fields))
    more = struct.pack("<HHI", 22, bits, 0) + struct.pack("<H", tag) + TAIL
    return chunk(b"fmt ", struct.pack("<HHIIHH", 0xFFFE, *fields) + more)


def riff(*chunks: bytes) -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def tone(rate: int, seconds: float = 0.5, channels: int = 1) -> npt.NDArray[np.float64]:
    one = 0.5 * np.sin(2 * np.pi * 440 * np.arange(int(rate * seconds)) / rate)
    return np.repeat(one[:, None], channels, axis=1)


def encode(sound: npt.NDArray[np.float64], tag: int, bits: int) -> bytes:
    if tag == 3:
        return sound.astype(f"<f{bits // 8}").tobytes()
    if bits == 8:
        return (sound * 127 + 128).astype(np.uint8).tobytes()
    whole = (sound * (2 ** (bits - 1) - 1)).astype("<i4")
    if bits == 24:
        return bytes(whole.reshape(-1, 1).view(np.uint8).reshape(-1, 4)[:, :3].tobytes())
    return bytes(whole.astype(f"<i{bits // 8}").tobytes())


def write(folder: Path, data: bytes) -> Path:
    path = folder / "sound.wav"
    path.write_bytes(data)
    return path


def heard(path: Path) -> Sound:
    frames = list(read_sound(path))
    assert all(len(frame) == FRAME and frame.dtype == np.float32 for frame in frames)
    return np.concatenate(frames)


def assert_is_tone(sound: Sound, seconds: float = 0.5, accuracy: float = 0.02) -> None:
    whole = int(seconds * RATE)
    assert whole <= len(sound) < whole + FRAME
    inner = slice(RATE // 20, whole - RATE // 20)
    expected = tone(RATE, seconds)[:, 0]
    assert np.max(np.abs(sound[:whole][inner] - expected[inner])) < accuracy


@pytest.mark.parametrize("extensible", [False, True])
@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("rate", [8_000, 22_050, 48_000])
@pytest.mark.parametrize("coding", [(1, 8), (1, 16), (1, 24), (1, 32), (3, 32), (3, 64)])
def test_reads_every_common_form(
    tmp_path: Path, coding: tuple[int, int], rate: int, channels: int, extensible: bool
) -> None:
    tag, bits = coding
    data = encode(tone(rate, channels=channels), tag, bits)
    path = write(tmp_path, riff(header(tag, channels, rate, bits, extensible=extensible), chunk(b"data", data)))
    assert_is_tone(heard(path))
    assert read_sound(path).seconds == pytest.approx(0.5)


def ulaw_reference(code: int) -> float:
    """G.711, table 2: written down apart from the table in the code."""
    code = 255 - code
    magnitude = ((((code & 15) * 2 + 33) << ((code >> 4) & 7)) - 33) / 8192
    return -magnitude if code >= 128 else magnitude


def alaw_reference(code: int) -> float:
    """G.711, table 1."""
    code ^= 0x55
    segment = (code >> 4) & 7
    magnitude = (code & 15) * 2 + 1
    if segment:
        magnitude = (magnitude + 32) << (segment - 1)
    return (1 if code >= 128 else -1) * magnitude / 4096


@pytest.mark.parametrize(("tag", "reference"), [(7, ulaw_reference), (6, alaw_reference)])
def test_reads_telephone_codings(tmp_path: Path, tag: int, reference: Any) -> None:  # noqa: ANN401
    codes = bytes(range(256))
    path = write(tmp_path, riff(header(tag, 1, RATE, 8), chunk(b"data", codes)))
    assert np.allclose(heard(path)[:256], [reference(code) for code in codes], atol=1e-6)


def test_averages_channels(tmp_path: Path) -> None:
    both = np.stack([np.full(FRAME, 0.5), np.full(FRAME, -0.25)], axis=1)
    path = write(tmp_path, riff(header(3, 2, RATE, 32), chunk(b"data", encode(both, 3, 32))))
    assert np.allclose(heard(path), 0.125)


@pytest.mark.parametrize("size", [0xFFFFFFFF, 10_000_000])
def test_streamed_length_reads_to_the_end_of_the_file(tmp_path: Path, size: int) -> None:
    data = encode(tone(RATE), 1, 16)
    path = write(tmp_path, riff(header(1, 1, RATE, 16), chunk(b"data", data, size)))
    assert_is_tone(heard(path))


def test_skips_other_chunks_and_stops_at_the_end_of_the_sound(tmp_path: Path) -> None:
    data = encode(tone(RATE), 1, 16)
    odd = chunk(b"LIST", b"INFOx")
    path = write(tmp_path, riff(odd, header(1, 1, RATE, 16), odd, chunk(b"data", data), chunk(b"LIST", b"\x7f" * 999)))
    assert_is_tone(heard(path))


@pytest.mark.parametrize(
    ("kind", "coding", "accuracy"),
    [("FLAC", "PCM_16", 0.02), ("OGG", "VORBIS", 0.05), ("OGG", "OPUS", 0.05), ("MP3", "MPEG_LAYER_III", 0.1),
     ("AIFF", "PCM_24", 0.02), ("W64", "PCM_16", 0.02), ("RF64", "FLOAT", 0.02), ("CAF", "PCM_16", 0.02)],
)  # fmt: skip
def test_reads_the_files_that_people_have(tmp_path: Path, kind: str, coding: str, accuracy: float) -> None:
    path = tmp_path / "sound"
    soundfile.write(path, tone(48_000, 2.0, channels=2), 48_000, format=kind, subtype=coding)
    found = heard(path)
    assert read_sound(path).seconds == pytest.approx(2.0, abs=0.1)
    # Some codings delay by a few samples: the tone is there, as loud.
    assert np.sqrt(np.square(found[8000:24_000]).mean()) == pytest.approx(0.5 / np.sqrt(2), rel=accuracy)
    spectrum = np.abs(np.fft.rfft(found[8000:24_000]))
    assert np.argmax(spectrum) == pytest.approx(440, abs=4)


def test_the_length_of_rf64_is_that_of_its_sound(tmp_path: Path) -> None:
    data = encode(tone(RATE), 1, 16)
    sizes = struct.pack("<QQQI", 0, len(data), len(data) // 2, 0)
    body = chunk(b"ds64", sizes) + header(1, 1, RATE, 16) + chunk(b"data", data, 0xFFFFFFFF) + chunk(b"LIST", b"x" * 99)
    assert_is_tone(heard(write(tmp_path, b"RF64\xff\xff\xff\xffWAVE" + body)))


@pytest.mark.parametrize("quiet_s", [0.0, 1.0])
def test_channels_in_opposite_phase_do_not_cancel(tmp_path: Path, quiet_s: float) -> None:
    one = np.concatenate([np.zeros(int(RATE * quiet_s)), tone(RATE)[:, 0]])
    path = write(tmp_path, riff(header(1, 2, RATE, 16), chunk(b"data", encode(np.stack([one, -one], axis=1), 1, 16))))
    assert_is_tone(heard(path)[int(RATE * quiet_s) :])


def test_what_is_no_number_becomes_silence(tmp_path: Path) -> None:
    wild = np.array([np.nan, np.inf, -np.inf, 1e300, -7.0, 0.5])
    path = write(tmp_path, riff(header(3, 1, RATE, 64), chunk(b"data", wild.astype("<f8").tobytes())))
    assert np.allclose(heard(path)[:6], [0, 0, 0, 0, -1, 0.5], atol=1e-6)


GOOD = riff(header(1, 1, RATE, 16), chunk(b"data", b"\0\1" * 500))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is empty"),
        (b"hello, this is a text", "Format not recognised"),
        (b"fLaC" + b"\0" * 40, "unimplemented format"),
        (b"\0\0\0\x20ftypM4A " + b"\0" * 40, "M4A file"),
        (b"\x1aE\xdf\xa3" + b"\0" * 40, "WebM"),
        (b"RIFX" + GOOD[4:20], "big-endian"),
        (GOOD[:10], "Format not recognised"),
        (GOOD[:20], "Malformed 'fmt ' chunk"),
        (GOOD[:30], "No 'data' chunk"),
        (GOOD[:36], "No 'data' chunk"),
        (GOOD[:44], "holds no samples"),
        (riff(header(1, 1, RATE, 16), chunk(b"data", b""), chunk(b"LIST", b"INFO")), "holds no samples"),
        (riff(header(1, 1, RATE, 16), chunk(b"data", b"\1")), "holds no samples"),
        (riff(chunk(b"data", b"\0\1" * 500), header(1, 1, RATE, 16)), "No 'data' chunk"),
        (riff(header(1, 0, RATE, 16), chunk(b"data", b"\0" * 99)), "Channel count is zero"),
        (riff(header(1, 9, RATE, 16), chunk(b"data", b"\0" * 99)), "9 channels"),
        (riff(header(1, 1, 3_999, 16), chunk(b"data", b"\0" * 99)), "3999 samples a second"),
        (riff(header(1, 1, 4_000_000, 16), chunk(b"data", b"\0" * 99)), "4000000 samples a second"),
        (riff(header(1, 1, RATE, 64), chunk(b"data", b"\0" * 99)), "unimplemented format"),
        (riff(header(3, 1, RATE, 16), chunk(b"data", b"\0" * 99)), "cannot be read"),
        (riff(header(0x11, 1, RATE, 8), chunk(b"data", b"\0" * 99)), "ADPCM"),
        (riff(header(0x55, 1, RATE, 8), chunk(b"data", b"\0" * 99)), "Malformed"),
        (riff(header(0x7777, 1, RATE, 8), chunk(b"data", b"\0" * 99)), "Malformed"),
    ],
)
def test_bad_input_is_told_in_one_line(tmp_path: Path, data: bytes, says: str) -> None:
    path = write(tmp_path, data)
    with pytest.raises(BadAudio) as caught:
        read_sound(path)
    message = str(caught.value)
    assert says in message
    assert str(path) in message
    assert "\n" not in message
    assert caught.value.exit_code == 2


def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path, says in [(tmp_path / "none.wav", "no such file"), (tmp_path, "is a directory"), (fifo, "regular file")]:
        with pytest.raises(BadAudio, match=says):
            read_sound(path)
    with pytest.raises(BadAudio):
        read_sound("nul\0byte.wav")


SEEDS = [
    riff(header(tag, 2, 8_000, bits, extensible=extensible), chunk(b"LIST", b"INFO"), chunk(b"data", bytes(range(200))))
    for tag, bits, extensible in [(1, 16, False), (1, 24, True), (3, 32, True), (7, 8, False)]
]


@settings(max_examples=800, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 90), st.integers(0, 255)), max_size=6),
    st.none() | st.integers(0, 300),
)
def test_mutated_headers_give_sound_or_bad_audio(
    tmp_path: Path, seed: bytes, changes: list[tuple[int, int]], length: int | None
) -> None:
    data = bytearray(seed)
    for place, value in changes:
        data[place] = value
    path = write(tmp_path, bytes(data[:length]))
    try:
        sound = heard(path)
    except BadAudio as error:
        assert "\n" not in str(error)  # noqa: PT017 - both outcomes are right
    else:
        assert np.all(np.isfinite(sound))
        assert np.max(np.abs(sound)) <= 1
        assert len(sound) <= RATE


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    noise = np.random.default_rng(0).integers(-3000, 3000, RATE * 10, np.int16)
    with WavWriter(path, 48_000) as wav:
        for _ in range(12):
            wav.write(noise)
    tracemalloc.start()
    count = sum(1 for _ in read_sound(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 40 * RATE // FRAME
    assert peak < 2_000_000


def test_writes_what_it_reads(tmp_path: Path) -> None:
    path = tmp_path / "out.wav"
    sound = np.random.default_rng(1).integers(-32768, 32767, 2 * FRAME, np.int16, endpoint=True)
    with WavWriter(path, RATE) as wav:
        wav.write(sound[:100])
        wav.write(sound[100:])
    assert np.array_equal(heard(path) * 32768, sound)


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "out.wav"
    path.write_bytes(b"old")

    def interrupted() -> None:
        with WavWriter(path, RATE) as wav:
            wav.write(np.zeros(100, np.int16))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_cannot_write_where_there_is_no_file_to_be(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none" / "out.wav", Path("/dev/null")):
        with pytest.raises(CannotWrite, match=str(path)), WavWriter(path, RATE):
            pytest.fail("opened what cannot be written")


def test_a_disk_that_fills_up_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "out.wav"

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(CannotWrite, match="No space left"), WavWriter(path, RATE) as wav:
        wav.write(np.zeros(100, np.int16))
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    check_writable(tmp_path / "a.wav")
    for place in (tmp_path, tmp_path / "missing" / "a.wav"):
        with pytest.raises(CannotWrite, match=re.escape(str(place))):
            check_writable(place)
