"""What sounds over a reply, through real ears, as the server hears it: hums go by, words take the turn."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import numpy as np
import pytest
import soxr

from agent.config.settings import load
from agent.conversation.options import TurnOptions
from agent.conversation.turn_taking import Action, EndTurnAfter, HardStop, Interrupt, TurnTaking
from agent.models.voices import VoiceShelf
from audio.clock import FRAME, RATE
from audio.errors import BadVoice
from audio.hearing.ears import Ears
from audio.hearing.stop_phrases import StopPhrases
from audio.hearing.transcriber import Transcriber
from audio.hearing.vad import VoiceActivity
from audio.hearing.whisper import WhisperDecoder
from audio.options import EarsOptions
from tests.e2e.stage.hums import PITCHES_HZ, SOUNDS, sound_of
from tests.reasoning.model_files import model_path

if TYPE_CHECKING:
    from agent.conversation.turn_taking import InterruptedBy
    from audio.clock import Sound
    from audio.messages import EarsEvent, ToldAhead

pytestmark = [
    pytest.mark.e2e,
    # kokoro-onnx leaves its file of voices open.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
OPTIONS: Final = EarsOptions()
STOPS: Final = StopPhrases(TurnOptions().stop_phrases)
INTERRUPTIONS: Final = ("Stop.", "Wait.", "No.", "What?", "How many?", "Which one?", "Hang on.", "But why?")
WAYS: Final = ("words", "voice")


@pytest.fixture(scope="module", name="whisper")
def _whisper() -> WhisperDecoder:
    return WhisperDecoder(model_path("whisper-tiny.en").parent, OPTIONS)


def spoken(text: str, name: str) -> Sound:
    try:
        voice = VoiceShelf(load().settings).voice(name)
    except BadVoice as error:
        pytest.skip(str(error))
    sound = soxr.resample(voice.speak(text).astype(np.float32) / 32768, voice.rate, RATE)
    loud = np.flatnonzero(np.abs(sound) > 0.01)
    return np.asarray(sound[loud[0] : loud[-1] + 1], np.float32)


async def over_a_reply(sound: Sound, whisper: WhisperDecoder, by: InterruptedBy) -> list[Action]:
    """Say what is decided about a sound over a reply that cannot be paused, beside how long is waited for more."""
    turns, taken = TurnTaking(can_pause=False), list[Action]()
    turns.interrupted_by = by
    turns.requested()
    noise = np.random.default_rng(1).standard_normal(len(sound) + 3 * RATE).astype(np.float32) * 0.0005
    noise[RATE : RATE + len(sound)] += sound
    activity, transcriber = VoiceActivity(OPTIONS), Transcriber(lambda: whisper)

    def hear(event: EarsEvent | ToldAhead) -> None:
        actions = turns.receive(event, ears.now / RATE)
        taken.extend(action for action in actions if not isinstance(action, EndTurnAfter))

    async def read() -> None:
        async for event in ears.events():
            hear(event)

    async with Ears(activity, transcriber, OPTIONS, STOPS.command) as ears:
        ears.listen_for_stops(wanted=True, tell=hear)
        reading = asyncio.create_task(read())
        for start in range(0, len(noise) - FRAME, FRAME):
            await ears.receive(noise[start : start + FRAME])
            await ears.caught_up()
        await ears.close()
        await reading
    return taken


@pytest.mark.parametrize("by", WAYS)
@pytest.mark.parametrize("pitch_hz", PITCHES_HZ)
@pytest.mark.parametrize("kind", SOUNDS)
async def test_a_hum_a_laugh_or_a_cough_leaves_the_reply_alone(
    kind: str, pitch_hz: float, by: InterruptedBy, whisper: WhisperDecoder
) -> None:
    assert await over_a_reply(sound_of(kind, pitch_hz), whisper, by) == []


@pytest.mark.parametrize("text", ["Mm-hmm.", "Okay.", "Right.", "I see.", "Yeah.", "Yes."])
async def test_signs_of_listening_by_voice_leave_the_reply_alone(text: str, whisper: WhisperDecoder) -> None:
    assert await over_a_reply(spoken(text, "kokoro-af_heart"), whisper, "voice") == []


async def test_the_hum_that_a_judge_found_leaves_the_reply_alone(whisper: WhisperDecoder) -> None:
    assert await over_a_reply(spoken("Mm-hmm.", "kokoro-bf_emma"), whisper, "voice") == []


@pytest.mark.parametrize("by", WAYS)
@pytest.mark.parametrize("text", INTERRUPTIONS)
async def test_a_word_that_asks_for_the_turn_takes_it(text: str, by: InterruptedBy, whisper: WhisperDecoder) -> None:
    taken = await over_a_reply(spoken(text, "piper-en-us-joe"), whisper, by)
    assert any(isinstance(action, Interrupt) for action in taken)
    assert any(isinstance(action, HardStop) for action in taken) == (text == "Stop.")


async def test_a_sentence_over_a_reply_takes_the_turn_before_its_first_transcript(whisper: WhisperDecoder) -> None:
    sound = spoken("Thank you, that is enough. What is nine times seven?", "piper-en-us-joe")
    assert any(isinstance(action, Interrupt) for action in await over_a_reply(sound[: 3 * RATE // 4], whisper, "words"))
