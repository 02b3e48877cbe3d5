"""The desk on a virtual sound card, in real time: what goes out, what comes back, and what is pulled out meanwhile."""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from audio.clock import RATE
from audio.io.devices import SoundCard
from audio.io.sound_files import read_sound
from audio.messages import Clip
from audio.options import DeviceOptions
from tests.agent.command_line import MODELS, write_babbler
from tests.e2e.stage.make_recordings import RECORDINGS
from tests.e2e.stage.sound_card import NEEDED, VirtualCard

pytestmark = pytest.mark.sound


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Iterator[VirtualCard]:
    for program in NEEDED:
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}: apt-get install pulseaudio pulseaudio-utils libportaudio2")
    sounddevice = pytest.importorskip("sounddevice")
    with VirtualCard() as virtual:
        for name in ("PULSE_SERVER", "PULSE_RUNTIME_PATH", "PULSE_SINK", "PULSE_SOURCE"):
            monkeypatch.setenv(name, virtual.environment[name])
        sounddevice._terminate()
        sounddevice._initialize()
        yield virtual


async def test_every_sample_that_is_told_as_heard_went_out(card: VirtualCard, tmp_path: Path) -> None:
    """A clip that is cut in the middle: the recording of the loudspeaker holds what the playout says was heard."""
    from audio.io.audio_io import AudioIO  # noqa: PLC0415 - heavy

    out = tmp_path / "out.wav"
    recorder = card.spawn("parecord", "-d", "spk.monitor", "--latency-msec=20", "--rate=22050", "--channels=1",
                          "--format=s16le", "--file-format=wav", str(out))  # fmt: skip
    rate, clip_s = 22_050, 1.5
    options = DeviceOptions(headphones=True)
    async with SoundCard(options, print) as sound_card:
        desk = AudioIO(sound_card, rate, options)
        ticks = 0
        async for block in sound_card.captured():
            for _ in desk.hear(block):
                sound, _ = desk.playout.advance(desk.due())
                desk.play(sound)
                ticks += 1
            if ticks == 50:
                desk.playout.queue(Clip("one", np.full(int(clip_s * rate), 12_000, np.int16), rate), "content", 1)
            if ticks == 100:
                desk.playout.flush(1)
                heard_s = desk.playout.played / rate
            if ticks >= 140:
                break
    recorder.send_signal(signal.SIGINT)
    recorder.communicate()
    recording = np.concatenate(list(read_sound(out)))
    went_out_s = float((np.abs(recording) > 0.1).sum()) / RATE
    assert 0.5 < heard_s < clip_s
    # Never more than went out, and what was in the device's own buffer at that moment was less than 100 ms.
    assert -0.1 < heard_s - went_out_s <= 0.005


async def test_the_card_is_pulled_out_and_comes_back(card: VirtualCard) -> None:
    told: list[str] = []
    async with SoundCard(DeviceOptions(), told.append) as sound_card:
        blocks = 0
        async for _ in sound_card.captured():
            blocks += 1
            if blocks == 20:
                card.kill()
                await asyncio.to_thread(card.start)
            if blocks == 60:
                break
        assert sound_card.counters.reopened >= 1
    assert told[-1].startswith("sound is back: ")


@pytest.mark.parametrize("seconds", [12])
async def test_the_echo_of_the_card_is_cancelled(card: VirtualCard, seconds: int) -> None:
    """The loudspeaker's sound comes back to the microphone at -20 dB and 40 ms late."""
    from audio.io.echo import CleanMicrophone  # noqa: PLC0415 - native

    card.run("pactl", "load-module", "module-loopback", "source=spk.monitor", "sink=mic", "latency_msec=40")
    inputs = card.run("pactl", "list", "short", "sink-inputs").stdout.split()
    card.run("pactl", "set-sink-input-volume", inputs[0], "-20dB")
    speech = np.concatenate(
        [np.concatenate(list(read_sound(RECORDINGS / name))) for name in ("eggs.wav", "apples.wav")]
    )
    async with SoundCard(DeviceOptions(), print) as sound_card:
        from audio.io.resampling import Resampler  # noqa: PLC0415 - native

        louder = Resampler(RATE, sound_card.rate).receive(np.tile(speech, 2))
        microphone = CleanMicrophone(sound_card.rate, cancel=True)
        at = 0
        async for block in sound_card.captured():
            want = max(0, sound_card.rate // 10 - sound_card.waiting)
            sound_card.play(louder[at : at + want], more=True)
            at += want
            for _ in microphone.receive(block.microphone, block.played):
                pass
            if at >= seconds * sound_card.rate:
                break
    assert 10 < microphone.meter.return_loss_db < 30
    assert microphone.meter.enhancement_db > 20


def until(who: str, lines: Iterable[str]) -> Iterator[str]:
    """Give who does something in each plain line, up to the first of those that are looked for."""
    for line in lines:
        columns = line.split(maxsplit=3)
        yield columns[2] if columns[1:2] == ["s"] else line
        if columns[2:3] and columns[2] in who.split():
            return


def test_talk_hears_answers_and_ends_in_order(card: VirtualCard, tmp_path: Path) -> None:
    for name in ("whisper-tiny.en", "piper-en-us-joe"):
        if not (MODELS / name).is_dir():
            pytest.skip("needs ears and voice: descant models pull")
    talk = card.spawn(
        str(Path(sys.executable).with_name("descant")), "--set", "engine.native=off", "talk", "--no-ui",
        "--headphones", "--model", str(write_babbler(tmp_path / "babbler.gguf")),
        "--timeline", str(tmp_path / "talk.jsonl"),
    )  # fmt: skip
    assert talk.stdout is not None
    assert "Ctrl-C ends" in talk.stdout.readline()
    time.sleep(1)
    card.run("paplay", "-d", "mic", "--latency-msec=20", str(RECORDINGS / "greeting.wav"))
    asked = list(until("you", talk.stdout))
    answered = list(until("says holds", talk.stdout))
    talk.send_signal(signal.SIGINT)
    rest, error = talk.communicate(timeout=30)
    assert talk.returncode == 0, error
    # What a model that babbles thinks and takes back may be shown before the question: nothing of it is heard.
    assert asked[-1] == "you", error
    assert {"says", "fills"}.isdisjoint(asked)
    assert answered[-1] in {"says", "fills"}, error
    assert "underruns" in rest
    assert "Traceback" not in error
