"""Conversations in virtual time: the agent's own session, with ears and a voice that keep time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pytest
import torch

from agent.conversation import timeline
from audio.options import EarsOptions
from bench.think.items.question import TaskQuestion
from bench.think.metrics import Sample, measure
from bench.virtual.simulation import Record, WrittenReply, converse
from bench.virtual.stepped import Batch, Lane, StepCosts, VirtualLoop, run_virtual
from bench.virtual.timed import Pace, Utterance
from reasoning.engine.decoder import Decoder
from reasoning.events import LoopEvent, ReplyText, Retracted, StateChanged, Thought, TurnDone
from reasoning.formats.gguf import open_gguf
from reasoning.options import LoopOptions
from tests.reasoning.tiny_models import LLAMA, write_tiny

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from languages.language import Language
    from reasoning.engine.contract import EngineSession
    from reasoning.events import State

PACE = Pace(synthesis_s=0.1, synthesis_letter_s=0.0, sound_s=0.0, sound_letter_s=0.1, partial_s=0.2, final_s=0.3)
ITEM = TaskQuestion("eggs", 0, "How many eggs are in 6 rows of 4?", "24", "number")
EARS, OPTIONS = EarsOptions(), LoopOptions()
SPOKEN_S = PACE.sound(ITEM.question)
ASKED = (Utterance(ITEM.question),)


Script = Sequence[tuple[float, LoopEvent]]


class Scripted:
    """A mind that says things at moments after it was asked: one script for each turn, the last one for all others."""

    def __init__(self, scripts: Sequence[Script], emit: Callable[[LoopEvent], None]) -> None:
        self._scripts, self._emit = list(scripts), emit
        self.heard: list[tuple[float, str]] = []
        self.leads: list[float] = []
        self.asked: list[str] = []
        self.finished: list[tuple[str, bool]] = []

    async def open(self) -> None: ...

    async def hear(self, text: str) -> None:
        self.heard.append((asyncio.get_running_loop().time(), text))

    def playing(self, lead_s: float) -> None:
        self.leads.append(lead_s)

    async def answer(self, text: str) -> None:
        self.asked.append(text)
        script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
        start = asyncio.get_running_loop().time()
        for when, event in script:
            await asyncio.sleep(max(0.0, start + when - asyncio.get_running_loop().time()))
            self._emit(event)
        self._emit(TurnDone({"writer": 5}, 5, "complete"))

    def speak(self, language: Language) -> None: ...

    async def take_back(self) -> None: ...

    async def finish(self, heard: str, *, interrupted: bool = False) -> None:
        self.finished.append((heard, interrupted))

    async def note(self, text: str) -> bool:
        raise AssertionError(text)

    notes_waiting = False

    async def close(self) -> None: ...


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Decoder:
    file: Path = write_tiny(tmp_path_factory.mktemp("tiny") / "tiny.gguf", LLAMA)
    return Decoder(open_gguf(file), torch.float32, max_context=64)


def talked(decoder: Decoder, *scripts: Script, said: tuple[Utterance, ...] = ASKED) -> tuple[Record, Scripted]:
    lane = Lane(decoder, 4)
    minds: list[Scripted] = []

    def make(session: EngineSession[Any], emit: Callable[[LoopEvent], None], clock: Callable[[], float]) -> Scripted:  # noqa: ARG001
        minds.append(Scripted(scripts, emit))
        return minds[0]

    async def main() -> Record:
        async with lane.session() as session:
            return await converse(
                session, make, said, pace=PACE, ears=EARS, options=OPTIONS, encode=lambda text: [1] * len(text.split())
            )

    record = run_virtual(VirtualLoop(lane, 0, Batch(decoder, 1), StepCosts({0: [(1, 1.0), (2, 2.0)]})), main())
    return record, minds[0]


def measured(record: Record) -> Sample:
    return measure("row", ITEM, record, PACE, lambda ids: "x" * len(ids))


def test_words_are_heard_as_they_are_spoken(decoder: Decoder) -> None:
    _, mind = talked(decoder, [(0.0, ReplyText("Yes."))])
    assert mind.asked == [ITEM.question]
    times, texts = zip(*mind.heard, strict=True)
    assert all(ITEM.question.startswith(text) for text in texts)
    assert [len(text) for text in texts] == sorted(len(text) for text in texts)
    for when, text in mind.heard:
        assert PACE.sound(text) <= when
    assert times[-1] < SPOKEN_S + 0.2


def test_a_reply_that_is_ready_early_waits_for_the_end_of_the_turn(decoder: Decoder) -> None:
    record, _ = talked(decoder, [(0.0, ReplyText("There are 24 eggs."))])
    sample = measured(record)
    assert sample.first_sound_s == pytest.approx(EARS.hard_end_ms / 1000, abs=0.04)
    assert sample.first_content_s == sample.first_sound_s
    assert sample.fillers == 0
    assert sample.right
    assert sample.reply_end_s == pytest.approx((sample.first_sound_s or 0) + PACE.sound("There are 24 eggs."), abs=0.04)


def test_fillers_fill_the_wait_as_in_the_session(decoder: Decoder) -> None:
    record, mind = talked(decoder, [(4.0, ReplyText("There are 24 eggs."))])
    sample = measured(record)
    asked = EARS.soft_end_ms / 1000 + PACE.final_s
    assert sample.first_sound_s == pytest.approx(OPTIONS.filler_after_s, abs=0.04)
    assert sample.fillers >= 1
    assert sample.first_content_s is not None
    assert sample.first_content_s >= asked + 4.0 + PACE.synthesis_s - 0.021
    assert sample.words == 4
    assert min(mind.leads) < -1.0
    assert max(mind.leads) > 1.0


def test_what_was_said_and_thought_is_judged(decoder: Decoder) -> None:
    record, _ = talked(
        decoder,
        [
            (0.0, StateChanged("thinking")),
            (0.1, Thought("6 times 4 is 20. No, it is 24.")),
            (0.2, ReplyText("There are 6 rows.")),
            (0.3, Retracted("Let us say 30 eggs.", "ungrounded: 30")),
            (0.4, ReplyText("I think the answer is 20.")),
            (0.5, StateChanged("writing")),
            (0.6, ReplyText("No, the answer is 24.")),
            (0.7, ReplyText("Twenty-four eggs.")),
        ],
    )
    sample = measured(record)
    assert (sample.stated, sample.thought, sample.right) == ("24", "24", True)
    assert sample.contradicts
    assert sample.repaired
    assert sample.revised_words == 6
    assert sample.unsaid == [("Let us say 30 eggs.", "ungrounded: 30")]
    assert sample.unsaid_words == 5
    assert sample.words_until_answer == 4 + 6 + 5
    starts = {text.strip(): at for at, _, text in sample.timeline}
    assert sample.first_content_s == starts["I think the answer is 20."], "the first sentence is all in the question"
    assert sample.final_correct_s == pytest.approx(starts["Twenty-four eggs."], abs=0.001)


@pytest.mark.parametrize(("thought", "state"), [("That is 12.", "thinking"), ("6 rows, so 12 and", "writing")])
def test_thoughts_that_were_cut_off_contradict_nothing(decoder: Decoder, thought: str, state: State) -> None:
    reply = ReplyText("There are 24 eggs.")
    script: Script = [(0.0, Thought(thought)), (0.1, StateChanged(state)), (0.2, reply)]
    record, _ = talked(decoder, script)
    sample = measured(record)
    assert sample.thought is None
    assert not sample.contradicts


def test_published_delays_follow_their_definition() -> None:
    # Ten tokens, two chunks of five letters each: 0.5 s of sound a chunk, 0.1 s of synthesis.
    tokens = [WrittenReply(1, 1.0 + 0.1 * i, 10 + i) for i in range(5)] + [
        WrittenReply(1, 6.0 + 0.1 * i, 40 + i) for i in range(5)
    ]
    record = Record([timeline.TimelineEntry(0.0, timeline.SpeechStopped(0.0))], tokens, first_step=4)
    sample = measured(record)
    assert sample.delay_to_first_s == pytest.approx(1.4 + 0.1)
    waited = (6.4 + 0.1) - (1.5 + 0.5)
    assert sample.total_delay_s == pytest.approx(1.5 + waited)
    assert sample.adjusted_delay_s == pytest.approx(0.5 + waited - 1.0)
    assert sample.duration_s == pytest.approx(1.0)
    assert sample.steps_to_first == 6
    assert sample.delay_steps == 1 + 40 - 10
    assert sample.delay_minus10_steps == 26 - 10


CORRECTION = Utterance("Sorry, I meant 5, not 4.", 0.6, after="reply")
MEANT = TaskQuestion("eggs", 0, f"{ITEM.question} {CORRECTION.text}", "30", "number")


def test_a_correction_in_mid_reply_is_measured_from_its_last_word(decoder: Decoder) -> None:
    first: Script = [(1.0, ReplyText("There are 24 eggs in all of the rows together."))]
    second: Script = [(0.5, ReplyText("Then it is 30.")), (0.6, ReplyText("That is all."))]
    record, mind = talked(decoder, first, second, said=(*ASKED, CORRECTION))
    assert mind.asked == [ITEM.question, CORRECTION.text]
    (cut, was_cut), *_ = mind.finished
    assert was_cut
    assert cut == "There", "what came after the words over it was not heard"
    sample = measure("row", MEANT, record, PACE, lambda ids: "x" * len(ids))
    assert sample.interrupted
    assert sample.before == cut
    assert sample.spoken == "Then it is 30. That is all."
    assert sample.right
    asked = EARS.soft_end_ms / 1000 + PACE.final_s
    statement = EARS.statement_end_ms / 1000
    start = max(asked + 0.5 + PACE.synthesis_s, statement)
    assert sample.first_content_s == pytest.approx(start, abs=0.05)
    assert sample.final_correct_s == pytest.approx(start + PACE.sound("Then it is 30."), abs=0.05)
    assert sample.words_until_answer == 4


def test_a_correction_waits_for_the_reply_or_its_end(decoder: Decoder) -> None:
    record, mind = talked(decoder, [], [(0.1, ReplyText("It is 30."))], said=(*ASKED, CORRECTION))
    assert mind.asked == [ITEM.question, CORRECTION.text]
    assert not measure("row", MEANT, record, PACE, lambda ids: "x" * len(ids)).interrupted


def test_a_pause_inside_a_turn_takes_the_reply_back_and_a_long_one_ends_the_turn(decoder: Decoder) -> None:
    pieces = ("How many eggs are in 6 rows", "of 4?")

    def shards(pause_s: float) -> tuple[Utterance, ...]:
        return Utterance(pieces[0]), Utterance(pieces[1], pause_s)

    reply: Script = [(0.0, ReplyText("There are 24 eggs."))]
    record, mind = talked(decoder, reply, said=shards(0.6))
    assert mind.asked == [pieces[0], ITEM.question], "the preemptive reply was taken back, and the whole question asked"
    assert measured(record).right
    _, mind = talked(decoder, reply, said=shards(1.0))
    assert mind.asked[-1] == ITEM.question, "words without an end hold the turn open"
    _, mind = talked(decoder, reply, said=shards(3.0))
    assert mind.asked == list(pieces)


def test_tokens_are_counted_to_the_sentence_that_states_the_answer() -> None:
    entries = [
        timeline.TimelineEntry(900.0, timeline.SpeechStopped(1000.0)),
        timeline.TimelineEntry(2000.0, timeline.ReplyText("First, 6 rows. So 24 eggs.")),
        timeline.TimelineEntry(3000.0, timeline.AudioOut(3000.0, 3500.0, "First, 6 rows.", "content")),
        timeline.TimelineEntry(3500.0, timeline.AudioOut(3500.0, 4000.0, "So 24 eggs.", "content")),
    ]
    spent = [(0.5, 100), (1.0, 7), (1.9, 1), (2.0, 1), (2.5, 1000)]
    sample = measured(Record(entries, spent=spent))
    assert sample.final_correct_s == pytest.approx(3.0)
    assert sample.tokens_to_answer == 9


def test_what_is_read_out_counts_as_tokens_of_the_reply(decoder: Decoder) -> None:
    record, _ = talked(decoder, [(1.0, ReplyText("6 times 4 is 24."))])
    assert len(record.written) == 5
    assert {token.at_s for token in record.written} == {record.written[0].at_s}
    sample = measured(record)
    asked = EARS.soft_end_ms / 1000 + PACE.final_s
    assert sample.total_delay_s == pytest.approx(asked + 1.0 + PACE.synthesis_s, abs=0.01)
