"""What timed ears tell, event by event, in virtual time: as `audio.hearing.ears` tells it of sound."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import pytest
import torch

from audio.messages import HardEnd, SoftEnd, SpeechResumed, SpeechStarted, Words
from audio.options import EarsOptions
from bench.virtual.stepped import Batch, Lane, StepCosts, VirtualLoop, run_virtual
from bench.virtual.timed import Pace, TimedEars, Utterance
from reasoning.engine.decoder import Decoder
from reasoning.formats.gguf import open_gguf
from tests.reasoning.tiny_models import LLAMA, write_tiny

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from audio.messages import EarsEvent

PACE = Pace(sound_s=0.0, sound_letter_s=0.1, partial_s=0.2, final_s=0.3)
EARS = EarsOptions()
SOFT, HARD = EARS.soft_end_ms / 1000, EARS.hard_end_ms / 1000
Heard = list[tuple[float, "EarsEvent"]]


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Decoder:
    file: Path = write_tiny(tmp_path_factory.mktemp("tiny") / "tiny.gguf", LLAMA)
    return Decoder(open_gguf(file), torch.float32, max_context=64)


def decided(ears: TimedEars, event: EarsEvent) -> None:
    """End each turn after the shortest wait."""
    if isinstance(event, Words) and not event.final:
        ears.end_turn_after(1000 * HARD)


def heard(decoder: Decoder, *said: Utterance, react: Callable[[TimedEars, EarsEvent], None] = decided) -> Heard:
    async def main() -> Heard:
        loop = asyncio.get_running_loop()
        ears = TimedEars(said, PACE, EARS)
        found: Heard = []

        async def listen() -> None:
            async for event in ears.events():
                found.append((round(loop.time(), 3), event))
                react(ears, event)

        async with asyncio.TaskGroup() as group:
            group.create_task(listen())
            while not ears.over:  # noqa: ASYNC110 - virtual time, and the ears tell nobody
                await asyncio.sleep(0.02)
            await ears.close()
        return found

    lane = Lane(decoder, 4)
    return run_virtual(VirtualLoop(lane, 0, Batch(decoder, 1), StepCosts({0: [(1, 1.0), (2, 2.0)]})), main())


def kinds(found: Heard) -> list[type[EarsEvent]]:
    return [type(event) for _, event in found]


def test_one_breath_is_one_turn(decoder: Decoder) -> None:
    found = heard(decoder, Utterance("Four and five?"))
    assert kinds(found)[0] is SpeechStarted
    assert kinds(found)[-4:] == [SoftEnd, Words, Words, HardEnd]
    times = [when for when, _ in found[-4:]]
    assert times == pytest.approx([1.4 + SOFT, 1.4 + SOFT + 0.3, 1.4 + HARD, 1.4 + HARD])
    last = found[-1][1]
    assert isinstance(last, HardEnd)
    assert last.last_sample == 1.4 * 16_000


def test_a_pause_that_is_short_goes_on_with_the_turn(decoder: Decoder) -> None:
    found = heard(decoder, Utterance("Four"), Utterance("and five?", 0.4))
    assert [kind for kind in kinds(found) if kind is not Words] == [
        SpeechStarted,
        SoftEnd,
        SpeechResumed,
        SoftEnd,
        HardEnd,
    ]
    final = next(event for _, event in found if isinstance(event, Words) and event.final)
    assert final.committed == "Four and five?"
    stale = [event for _, event in found if isinstance(event, Words) and event.committed == "Four"]
    assert stale == [], "the decode of the pause was not done before it ended"


def test_a_pause_that_is_long_ends_the_turn_and_the_session_says_what_is_long(decoder: Decoder) -> None:
    said = Utterance("Four"), Utterance("and five?", 1.0)
    turns = [event for event in kinds(heard(decoder, *said)) if event is HardEnd]
    assert len(turns) == 2

    def hold(ears: TimedEars, event: EarsEvent) -> None:
        if isinstance(event, Words) and not event.final:
            ears.end_turn_after(1400)

    held = heard(decoder, *said, react=hold)
    assert [kind for kind in kinds(held) if kind is HardEnd] == [HardEnd]
    assert held[-1][0] == pytest.approx(0.4 + 1.0 + 0.9 + 1.4)


def test_words_may_wait_for_the_reply(decoder: Decoder) -> None:
    def reply(ears: TimedEars, event: EarsEvent) -> None:
        decided(ears, event)
        if isinstance(event, HardEnd):
            asyncio.get_running_loop().call_later(3.0, ears.reply_tells)

    found = heard(decoder, Utterance("Four?"), Utterance("No, five.", 0.6, after="reply"), react=reply)
    started = [event.start / 16_000 for _, event in found if isinstance(event, SpeechStarted)]
    assert started == pytest.approx([0.0, 0.5 + HARD + 3.0 + 0.6], abs=0.001)


def test_moments_that_are_rounded_differently_hold_nothing_up(decoder: Decoder) -> None:
    chance = random.Random(8)
    said = [Utterance("x" * chance.randint(1, 9) + "?", chance.choice([0.1, 0.3, 0.7]) * chance.random() * 9)
            for _ in range(300)]  # fmt: skip
    assert kinds(heard(decoder, *said))[-1] is HardEnd
