from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

import numpy as np
import pytest

from agent.conversation import timeline
from agent.conversation.driver import ConversationDriver
from agent.conversation.options import TurnOptions
from agent.conversation.reasoner import LoopReasoner
from agent.conversation.sinks import PlayoutSink
from agent.conversation.timeline import (
    AudioCut,
    AudioOut,
    Interrupted,
    SpeechStopped,
    Thought,
    TimelineEntry,
    TurnDone,
    TurnEnded,
    turn_latencies,
)
from audio import messages as heard
from audio.clock import FRAME, RATE, Pcm, Sound
from audio.errors import VoiceUnavailable
from audio.hearing.agreement import Word
from audio.hearing.ears import Ears
from audio.hearing.stop_phrases import StopPhrases
from audio.hearing.transcriber import Judge, Recogniser, Transcriber
from audio.hearing.vad import VoiceActivity
from audio.hearing.whisper import Hypothesis
from audio.options import EarsOptions, VoiceOptions
from audio.speaking.playout import Playout
from audio.speaking.synthesizer import Synthesizer
from languages.english import ENGLISH
from languages.language import Language
from reasoning.events import LoopEvent, ReplyText, ToolCall
from reasoning.loop.loop import Loop
from reasoning.options import LoopOptions
from reasoning.policies.choosing import choice_of
from reasoning.policies.grounding import last_number
from reasoning.policies.policy import PolicyChoice
from reasoning.policies.sums.switches import PolicySwitches
from reasoning.prompting.script import Script
from reasoning.tools.calls import Tool
from tests.audio.hearing.test_vad import by_level
from tests.audio.speaking.test_synthesizer import RATE as VOICE_RATE
from tests.audio.speaking.test_synthesizer import Letters
from tests.reasoning.loop.test_loop import FAMILY, QUESTION, Model, last_request
from tests.reasoning.scripted_engine import END, Mind, ScriptedEngine, ScriptedSession, Words

T = TypeVar("T")
TICK_S = FRAME / RATE
WORD_S = 0.1
SAID = {
    0.9: QUESTION,
    0.8: "And in 2 boxes?",
    0.7: "",
    0.6: "A box has 6 rows",
    0.65: "Mm-hm. Okay.",
    0.75: "Stop!",
    0.85: "No, it has 7 rows.",
}
"""What is said at each level of sound; the third is a cough."""
ASK, ALSO, COUGH, BEGIN, LISTENS, STOP, CORRECT = SAID


class LevelDecoder:
    """Hears the words that belong to a level of sound, one for each tenth of a second of it."""

    def __init__(self, *_: object) -> None: ...

    def decode(self, sound: Sound, *, final: bool, expected: str = "") -> Hypothesis:  # noqa: ARG002 - both are the same to it
        words: list[Word] = []
        for level, text in SAID.items():
            count = round(int((np.abs(sound - level) < 0.01).sum()) / RATE / WORD_S)
            words += [Word(word, 0.9) for word in text.split()[:count]]
        return Hypothesis(tuple(words), -0.1, 0.0)

    def spot(self, sound: Sound) -> Hypothesis:
        return self.decode(sound, final=False)


class World:
    """A conversation with everything around it in virtual time."""

    def __init__(self, model: Model, options: LoopOptions, context: int = 100_000) -> None:
        self.now = 0.0
        self.stops: list[str] = []
        self.calls: list[ToolCall] = []
        self.entries: list[TimelineEntry] = []
        self.sound = np.zeros(0, np.int16)
        self.model, self.options = model, options
        self.engine = ScriptedEngine(Mind(model.write, model.score_choices, model.steps), Words(), context)
        self.voice = Letters()
        self.driver: ConversationDriver
        self.reasoner: LoopReasoner
        self.blocks: ScriptedSession
        self.ears: Ears
        self.synthesizer: Synthesizer

    def emit(self, event: timeline.Event) -> None:
        self.entries.append(TimelineEntry(self.now * 1000, event))

    def of(self, kind: type[T]) -> list[T]:
        return [entry.event for entry in self.entries if isinstance(entry.event, kind)]

    def when(self, kind: type[object]) -> list[float]:
        return [entry.t_ms for entry in self.entries if isinstance(entry.event, kind)]

    async def settle(self) -> None:
        """Let both threads and the event loop come to rest."""
        loop = asyncio.get_running_loop()
        for _ in range(2):
            for _ in range(8):
                await asyncio.sleep(0)
            for thread in (
                self.ears._transcriber._thread,
                self.ears._transcriber._spotter,
                self.synthesizer._thread,
            ):
                await loop.run_in_executor(thread, lambda: None)

    async def tick(self, level: float) -> None:
        self.now += TICK_S
        frame = np.full(FRAME, level, np.float32)
        sound = self.driver.play(int(self.now * VOICE_RATE), self.now)
        await self.driver.hear(frame, self.now)
        self.sound = np.concatenate([self.sound, sound])
        self.engine.allow(TICK_S / self.engine.step_s)
        await self.settle()

    async def hear(self, level: float, seconds: float) -> None:
        for _ in range(round(seconds / TICK_S)):
            await self.tick(level)

    async def say(self, level: float) -> None:
        await self.hear(level, len(SAID[level].split()) * WORD_S or 0.3)

    async def wait(self, until: Callable[[], bool], *, at_most_s: float = 60.0) -> None:
        end = self.now + at_most_s
        while not until():
            assert self.now < end, "it does not come"
            await self.tick(0.0)

    async def reply(self) -> None:
        await self.wait(lambda: self.driver.idle)

    @property
    def heard(self) -> list[str]:
        return [piece.text for piece in self.of(AudioOut) if piece.kind == "content"]


@asynccontextmanager
async def world(
    model: Model | None = None,
    options: LoopOptions | None = None,
    *,
    listens_for_stops: bool = False,
    turns: TurnOptions | None = None,
    on_turn: Callable[[heard.Words], str | None] | None = None,
    decoder: Recogniser | None = None,
    judge: Judge | None = None,
    kind: type[Ears] = Ears,
    languages: Sequence[Language] = (ENGLISH,),
    on_language: Callable[[Language], None] | None = None,
    tools: Sequence[Tool] = (),
    script: Callable[[Words], Script] = lambda words: Script(words, FAMILY),
    context: int = 100_000,
    choice: PolicyChoice | None = None,
) -> AsyncIterator[World]:
    one = World(model or Model(), options or LoopOptions(), context)
    ears_options = EarsOptions(partial_every_ms=100)
    transcriber = Transcriber(lambda: decoder or LevelDecoder(), lambda: judge)
    stop_phrases = StopPhrases((turns or TurnOptions()).stop_phrases)
    ears = kind(VoiceActivity(ears_options, by_level), transcriber, ears_options, stop_phrases.command)
    voice = Synthesizer(lambda: one.voice, VoiceOptions())
    async with one.engine.session() as blocks, ears, voice:
        one.blocks, one.ears, one.synthesizer = blocks, ears, voice
        fillers = [await voice.synthesize(phrase) for phrase in ENGLISH.replies.fillers]
        one.voice.said.clear()
        opening = script(one.engine.tokenizer).in_language(languages[0])

        def make(tell: Callable[[LoopEvent], None]) -> Loop:
            clock = lambda: one.now  # noqa: E731 - shorter than a function
            return Loop(blocks, opening, one.options, tell, clock, context=context, tools=tools, choice=choice)

        one.reasoner = LoopReasoner(make, one.emit)
        one.driver = ConversationDriver(
            ears=ears,
            reasoner=one.reasoner,
            voice=voice,
            sink=PlayoutSink(Playout(VOICE_RATE)),
            fillers=fillers,
            options=one.options,
            voice_options=VoiceOptions(),
            emit=one.emit,
            turns=turns,
            on_stop=one.stops.append if listens_for_stops else None,
            on_call=one.calls.append,
            on_turn=on_turn,
            languages=languages,
            on_language=on_language,
        )
        await one.driver.open()
        one.engine.allowance = 0.0
        conversation = asyncio.create_task(one.driver.run(), name="conversation")
        try:
            yield one
        except BaseException:
            conversation.cancel()
            await asyncio.wait([conversation])
            raise
        one.engine.allowance = float("inf")
        one.engine.allow(1)
        await ears.close()
        await conversation
        assert one.engine.running == []
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_question_is_answered_after_it_has_ended_and_not_before() -> None:
    async with world() as one:
        await one.hear(0.0, 0.5)
        await one.say(ASK)
        spoken_until = one.now * 1000
        await one.reply()
        assert [event.text for event in one.of(TurnEnded)] == [QUESTION]
        (ended,) = one.when(TurnEnded)
        assert not one.sound[: int(ended)].any()
        assert one.heard
        assert last_number(" ".join(one.heard)) == 24.0
        thoughts = one.when(Thought)
        assert min(thoughts) < ended
        assert max(thoughts) > one.of(AudioOut)[0].start_ms
        assert len(one.of(TurnDone)) == 1
        assert abs(one.of(SpeechStopped)[-1].last_sample_ms - spoken_until) < 40


async def test_latencies_count_from_the_last_sample_of_speech() -> None:
    async with world() as one:
        await one.say(ASK)
        spoken_until = one.now * 1000
        await one.reply()
        (turn,) = turn_latencies(one.entries)
        first = next(index for index, sample in enumerate(one.sound) if sample)
        assert turn.first_sound_ms is not None
        assert abs(turn.first_sound_ms - (first - spoken_until)) < 60
        assert turn.reply_end_ms is not None
        assert turn.reply_end_ms > turn.first_sound_ms
        assert turn.reason == "complete"


async def test_what_is_heard_is_what_the_timeline_tells() -> None:
    async with world() as one:
        await one.say(ASK)
        await one.reply()
        await one.hear(0.0, 0.5)
        for index, sample in enumerate(one.sound):
            inside = any(piece.start_ms <= index < piece.end_ms for piece in one.of(AudioOut))
            assert inside or not sample, index


async def test_private_thoughts_are_never_spoken() -> None:
    async with world() as one:
        await one.say(ASK)
        await one.reply()
        replies = " ".join(event.text for event in one.of(timeline.ReplyText))
        assert len(one.voice.said) == len(one.heard)
        assert all(text in replies for text in one.heard)


async def test_a_slow_answer_is_held_honestly_and_then_comes() -> None:
    options = LoopOptions()
    async with world(Model(steps=lambda _: 4), options) as one:
        await one.say(ASK)
        spoken_until = one.now
        await one.reply()
        pieces = one.of(AudioOut)
        assert pieces[0].kind == "filler"
        assert pieces[0].text in ENGLISH.replies.fillers
        assert abs(pieces[0].start_ms / 1000 - spoken_until - options.filler_after_s) < 0.1
        assert pieces[-1].kind == "content"
        assert last_number(" ".join(one.heard)) == 24.0
        (turn,) = turn_latencies(one.entries)
        assert [piece.kind for piece in pieces[:3]] == ["filler", "filler", "status"]
        assert pieces[1].start_ms - pieces[0].end_ms <= options.filler_again_s * 1000 + 100
        assert turn.first_sound_ms is not None
        assert turn.first_content_ms is not None
        assert turn.first_sound_ms < turn.first_content_ms


@pytest.mark.parametrize(
    ("asked", "written", "first", "waited"),
    [(6, 2, "content", 1.15), (6, 24, "filler", 1.3), (1, 24, "filler", 1.1), (40, 12, "filler", 1.1)],
    ids=["nearly written", "written slowly", "late already", "begun late"],
)
async def test_no_filler_holds_up_a_sentence_that_is_nearly_written(
    asked: int, written: int, first: str, waited: float
) -> None:
    model = Model(small_talk=True, at_once=f"Hello to you.{END}")
    model.steps = lambda name: written if name.startswith("reply") else asked
    async with world(model) as one:
        await one.say(ASK)
        spoken_until = one.now
        await one.reply()
        piece = one.of(AudioOut)[0]
        assert piece.kind == first
        assert abs(piece.start_ms / 1000 - spoken_until - waited) < 0.1


async def test_in_a_wait_that_two_fillers_did_not_fill_it_is_told_how_things_stand() -> None:
    async with world(Model(steps=lambda _: 4)) as one:
        await one.say(ASK)
        await one.wait(lambda: bool(one.of(TurnEnded)))
        one.engine.step_s = 1000.0
        await one.hear(0.0, 12.0)
        said, sayings = [piece.text for piece in one.of(AudioOut)], ENGLISH.replies
        assert said[:3] == [*sayings.fillers[:2], sayings.statuses[0]]
        assert said[3] == sayings.elapsed.format(5)
        assert [piece.kind for piece in one.of(AudioOut)] == ["filler"] * 2 + ["status"] * (len(said) - 2)
        one.engine.step_s = 0.02
        await one.reply()
        assert one.heard


async def test_a_cough_in_a_wait_is_neither_spoken_over_nor_answered_by_a_filler() -> None:
    options = LoopOptions()
    async with world(Model(steps=lambda _: 4), options, turns=TurnOptions(pause_on_voice=False)) as one:
        await one.say(ASK)
        await one.wait(lambda: bool(one.of(TurnEnded)))
        one.engine.step_s = 1000.0
        await one.wait(lambda: len(one.of(AudioOut)) == 1)
        filler = one.of(AudioOut)[0]
        await one.hear(0.0, filler.end_ms / 1000 - one.now + options.filler_again_s - 0.4)
        began = one.now
        await one.hear(COUGH, 0.6)
        coughed = one.now
        await one.hear(0.0, 2.0)
        spoken = [piece.start_ms / 1000 for piece in one.of(AudioOut)[1:]]
        assert not [start for start in spoken if began + 0.2 <= start < coughed + options.filler_again_s - 0.2]
        assert spoken, "the reply is still waited for"
        one.engine.step_s = 0.02
        await one.reply()
        assert len(one.of(TurnEnded)) == 1
        assert last_number(" ".join(one.heard)) == 24.0


async def test_a_phrase_that_cannot_be_spoken_is_told_once_and_the_reply_comes_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with world(Model(steps=lambda _: 4)) as one:
        speak, tried = one.voice.speak, list[str]()

        def fails(text: str) -> Pcm:
            if text not in ENGLISH.replies.statuses:
                return speak(text)
            tried.append(text)
            raise VoiceUnavailable("the voice is gone")

        monkeypatch.setattr(one.voice, "speak", fails)
        await one.say(ASK)
        await one.wait(lambda: bool(one.of(TurnEnded)))
        one.engine.step_s = 1000.0
        await one.hear(0.0, 8.0)
        assert tried == [ENGLISH.replies.statuses[0]]
        (failed,) = one.of(timeline.Failed)
        assert "the voice is gone" in failed.message
        one.engine.step_s = 0.02
        await one.reply()
        assert last_number(" ".join(one.heard)) == 24.0


async def test_fillers_of_replies_that_say_nothing_count_together() -> None:
    async with world(Model(steps=lambda _: 4)) as one:
        await one.say(ASK)
        await one.wait(lambda: bool(one.of(TurnEnded)))
        one.engine.step_s = 1000.0
        await one.hear(0.0, 12.0)
        reply = one.driver._replies.newest
        assert reply is not None
        playback = one.driver._playback
        playback.expect(reply, None)
        await one.hear(0.0, 5.0)
        kinds = [piece.kind for piece in one.of(AudioOut)]
        assert kinds[:2] == ["filler", "filler"]
        assert {*kinds[2:]} == {"status"}
        playback.expect(reply, one.now)
        await one.hear(0.0, 8.0)
        assert [piece.kind for piece in one.of(AudioOut)][len(kinds) :][:3] == ["filler", "filler", "status"]


async def test_a_quick_answer_needs_no_filler() -> None:
    async with world() as one:
        one.engine.step_s = 0.005
        await one.say(ASK)
        await one.reply()
        assert {piece.kind for piece in one.of(AudioOut)} == {"content"}


async def test_a_reply_is_taken_back_when_speech_goes_on() -> None:
    async with world() as one:
        one.engine.step_s = 0.002
        await one.say(ASK)
        await one.hear(0.0, 0.4)
        assert one.of(timeline.ReplyText)
        assert one.of(AudioOut) == []
        await one.say(ALSO)
        await one.reply()
        assert [event.text for event in one.of(TurnEnded)] == [f"{QUESTION} {SAID[ALSO]}"]
        ended = one.when(TurnEnded)[0]
        assert all(piece.start_ms >= ended - 20 for piece in one.of(AudioOut))
        assert one.heard.count("There are 24 eggs.") <= 1
        assert last_number(" ".join(one.heard)) == 24.0
        assert one.driver.turns == 1


async def test_a_turn_that_sounds_unfinished_is_waited_for() -> None:
    async with world() as one:
        await one.say(BEGIN)
        await one.hear(0.0, 0.9)
        assert one.of(TurnEnded) == []
        await one.reply()
        assert [event.text for event in one.of(TurnEnded)] == [SAID[BEGIN]]


async def test_an_interruption_silences_the_reply_and_is_answered() -> None:
    async with world() as one:
        await one.say(ASK)
        await one.wait(lambda: len(one.heard) == 1)
        await one.hear(0.0, 0.3)
        began = one.now
        await one.say(ALSO)
        (cut,) = one.of(Interrupted)
        silent = one.when(Interrupted)[0]
        assert silent / 1000 - began < 0.35
        assert not one.sound[int(silent) + 20 :].any()
        spoken = " ".join(event.text for event in one.of(timeline.ReplyText))
        assert cut.heard
        assert spoken.startswith(cut.heard)
        assert cut.heard != spoken
        await one.reply()
        assert [event.text for event in one.of(TurnEnded)] == [QUESTION, SAID[ALSO]]
        second = [text for name, text in one.engine.log if name.startswith("thoughts")][-1]
        assert f"{cut.heard} —" in second
        assert second.index(QUESTION) < second.index(f"{cut.heard} —") < second.index(SAID[ALSO])
        assert len(one.of(TurnDone)) == 1 + (one.when(TurnDone)[0] < silent)


async def until_heard(one: World, pieces: int = 1) -> None:
    await one.wait(lambda: len(one.heard) >= pieces)
    await one.hear(0.0, 0.3)


@pytest.mark.parametrize("level", [COUGH, LISTENS])
async def test_a_cough_or_a_listeners_sign_pauses_the_reply_and_it_goes_on_where_it_was(level: float) -> None:
    replies: list[list[str]] = []
    sounds: list[int] = []
    for over in (level, 0.0):
        async with world() as one:
            await one.say(ASK)
            await until_heard(one)
            began = one.now
            await one.hear(over, 0.3)
            await one.reply()
            assert one.of(Interrupted) == []
            assert len(one.of(TurnEnded)) == 1
            replies.append(one.heard)
            sounds.append(int(np.count_nonzero(one.sound)))
            if over:
                (paused,), (went_on,) = one.when(timeline.Paused), one.when(timeline.WentOn)
                assert paused / 1000 - began < 0.2
                assert not one.sound[int(paused) + 20 : int(went_on)].any()
                assert went_on - paused < 1500
    assert replies[0] == replies[1]
    assert sounds[0] == sounds[1], "a sample was lost or said twice"


async def test_a_reply_that_was_cut_or_paused_tells_when_it_really_ended() -> None:
    for level in (COUGH, ALSO):
        async with world() as one:
            await one.say(ASK)
            await until_heard(one)
            await one.say(level)
            until = one.now
            assert one.of(AudioCut) or level == COUGH
            await one.reply()
            cut = one.of(AudioCut)[0]
            said = next(piece for piece in one.of(AudioOut) if piece.start_ms == cut.start_ms)
            if level == ALSO:
                assert cut.end_ms < said.end_ms
                assert cut.end_ms < until * 1000
                assert not one.sound[int(cut.end_ms) + 20 : int(until * 1000)].any()
            else:
                assert cut.end_ms > said.end_ms
            last = int(np.flatnonzero(one.sound[: int(cut.end_ms) + 1])[-1])
            # A clip that was heard to its end has the pause after its sentence in it.
            assert 0 <= cut.end_ms - last < (25 if level == ALSO else 300)


@pytest.mark.parametrize("after_s", [0.02, 0.1, 0.3, 0.6, 0.8, 1.0, 1.3, 1.7, 2.2, 2.8, 3.5])
async def test_words_silence_the_agent_whatever_it_is_doing(after_s: float) -> None:
    async with world(Model(steps=lambda _: 2)) as one:
        await one.say(ASK)
        await one.hear(0.0, after_s)
        began = one.now
        await one.say(ALSO)
        silent_from = int((began + 0.25) * VOICE_RATE)
        assert not one.sound[silent_from:].any()
        await one.reply()
        assert SAID[ALSO] in one.of(TurnEnded)[-1].text
        assert last_number(" ".join(one.heard)) == 24.0
        assert 1 <= one.driver.turns <= 2


async def test_going_on_at_once_is_the_same_turn() -> None:
    async with world() as one:
        one.engine.step_s = 0.005
        await one.say(ASK)
        await one.wait(lambda: bool(one.of(AudioOut)))
        await one.say(ALSO)
        await one.reply()
        assert [event.text for event in one.of(TurnEnded)] == [QUESTION, f"{QUESTION} {SAID[ALSO]}"]


@pytest.mark.parametrize("when", ["idle", "while it speaks", "while it thinks"])
async def test_a_stop_phrase_stops_everything_and_is_not_answered(when: str) -> None:
    async with world(Model(steps=lambda _: 3), listens_for_stops=True) as one:
        if when != "idle":
            await one.say(ASK)
            await one.wait(lambda: bool(one.heard) if when == "while it speaks" else bool(one.of(TurnEnded)))
            await one.hear(0.0, 0.1)
        await one.hear(STOP, 0.3)
        ended = one.now
        await one.reply()
        assert one.stops == ["stop"]
        (stopped,) = one.when(timeline.HardStopped)
        assert stopped / 1000 - ended < 0.25
        assert not one.sound[int(stopped) + 20 :].any()
        assert len(one.of(TurnEnded)) == (when != "idle")


async def test_a_key_cuts_the_reply() -> None:
    async with world() as one:
        await one.say(ASK)
        await until_heard(one)
        one.driver.interrupt()
        at = len(one.sound)
        await one.reply()
        assert len(one.of(Interrupted)) == 1
        assert not one.sound[at:].any()
        await one.say(ALSO)
        await one.reply()
        assert one.driver.turns == 2


class News(Model):
    """Tells a note."""

    def write(self, before: str, name: str) -> str:
        if last_request(before).endswith(FAMILY.prompts.note_request):
            return f"I have arrived.{END}"
        return super().write(before, name)


async def test_a_note_is_answered_unprompted_once_nobody_has_the_turn() -> None:
    async with world(News()) as one:
        await one.say(ASK)
        await one.hear(COUGH, 0.2)
        assert not one.driver.idle
        await one.reply()
        await one.driver.note("[robot] arrived", unprompted=True)
        await one.reply()
        assert len(one.of(timeline.Prompted)) == 1
        assert one.heard[-1] == "I have arrived."
        await one.driver.note("[robot] battery low")
        await one.hear(0.0, 1.0)
        assert len(one.of(timeline.Prompted)) == 1
        assert one.driver.idle
        assert one.driver.turns == 1


async def test_a_note_waits_for_the_user() -> None:
    async with world(News()) as one:
        await one.hear(COUGH, 0.3)
        await one.driver.note("[robot] arrived", unprompted=True)
        await one.hear(COUGH, 0.3)
        assert one.of(timeline.Prompted) == []
        await one.reply()
        assert one.heard == ["I have arrived."]


async def test_a_call_waits_until_the_turn_has_ended_and_dies_with_its_reply() -> None:
    def ask_for(one: World, number: int) -> None:
        one.reasoner.told(ToolCall(str(number), "go", {}))

    async with world() as one:
        await one.say(ASK)
        await one.wait(lambda: one.driver._turns.state == "preemptive")
        await one.tick(0.0)
        ask_for(one, 1)
        assert one.calls == []
        await one.say(ALSO)
        await one.wait(lambda: one.driver._turns.state == "preemptive")
        await one.tick(0.0)
        ask_for(one, 2)
        await one.wait(lambda: bool(one.of(TurnEnded)))
        assert [call.id for call in one.calls] == ["2"]
        await until_heard(one)
        one.driver.interrupt()
        ask_for(one, 3)
        one.reasoner.told(ReplyText("This is too late."))
        await one.reply()
        assert [call.id for call in one.calls] == ["2"]
        assert "This is too late." not in one.heard


async def test_words_while_a_tool_is_waited_for_are_answered_and_its_result_is_told() -> None:
    async with world(News()) as one:
        await one.say(ASK)
        await one.wait(lambda: bool(one.of(TurnEnded)))
        one.reasoner.told(ToolCall("1", "go", {}))
        assert [call.id for call in one.calls] == ["1"]
        await one.reply()
        await one.hear(ALSO, 0.2)
        await one.driver.note("[tool] the door is open", unprompted=True)
        await one.say(ALSO)
        assert one.of(timeline.Prompted) == []
        await one.reply()
        assert [event.text for event in one.of(TurnEnded)] == [QUESTION, SAID[ALSO]]
        assert [text for _, text in one.engine.log if "[tool] the door is open" in text]
        assert [call.id for call in one.calls] == ["1"]


async def test_words_that_begin_at_the_end_of_a_reply_are_answered() -> None:
    for late in range(0, 16, 3):
        async with world() as one:
            await one.say(ASK)
            await one.wait(lambda one=one: bool(one.of(TurnDone)))  # type: ignore[misc]
            await one.wait(lambda one=one: one.driver.lead_s < 0.3)  # type: ignore[misc]
            await one.hear(0.0, late * TICK_S)
            await one.say(ALSO)
            await one.reply()
            assert [event.text for event in one.of(TurnEnded)] == [QUESTION, SAID[ALSO]], late
            assert len(one.of(TurnDone)) == 2


async def test_a_second_turn_knows_what_was_heard_of_the_first() -> None:
    async with world() as one:
        await one.say(ASK)
        await one.reply()
        first = " ".join(one.heard)
        await one.hear(0.0, 0.5)
        await one.say(ALSO)
        await one.reply()
        assert one.driver.turns == 2
        second = [text for name, text in one.engine.log if name.startswith("thoughts")][-1]
        assert f"assistant\n{first}<" in second


async def test_a_turn_without_words_is_no_turn() -> None:
    async with world() as one:
        await one.say(COUGH)
        await one.hear(0.0, 2.0)
        assert one.driver.idle
        assert one.driver.turns == 0
        assert one.of(TurnEnded) == []
        assert not one.sound.any()


async def test_nothing_is_left_when_the_input_ends_at_any_moment() -> None:
    for seconds in (0.0, 0.3, 0.8, 1.3, 1.5, 1.7, 2.0, 2.5):
        async with world() as one:
            talk = min(seconds, 1.3)
            await one.hear(ASK, talk)
            await one.hear(0.0, seconds - talk)
    # `world` looks at what is left when it closes.


async def test_a_failure_of_the_engine_ends_the_session_with_its_cause() -> None:
    class Broken(Exception):
        pass

    def fail(before: str) -> str:
        raise Broken(before[:1])

    caught: BaseException | None = None
    try:
        async with world(Model(step=fail)) as one:
            await one.say(ASK)
            await one.hear(0.0, 4.0)
    except* Broken as group:
        caught = group
    assert caught is not None


WRONG = f"6 * 4 = 25 eggs\n25 - 1 = 24 eggs\nEach row has 4 eggs\nWait, 6 * 4 = 24 eggs\nAnswer: 24 eggs{END}"


@pytest.mark.parametrize("step_s", [0.005, 0.08])
async def test_what_the_thoughts_contradict_is_not_said_or_is_repaired_aloud(step_s: float) -> None:
    """Quick thoughts find their error before it is heard, slow ones while it sounds."""
    unmended = choice_of("sums", PolicySwitches(arithmetic=False))
    async with world(Model(thoughts=WRONG), choice=unmended) as one:
        one.engine.step_s = step_s
        await one.say(ASK)
        await one.reply()
        assert [event.text for event in one.of(timeline.Unsaid)] == ["6 times 4 is 25 eggs."]
        said = " ".join(one.heard)
        if step_s < 0.01:
            assert "25 eggs" not in said
            assert "Sorry" not in said
        else:
            assert said.index("6 times 4 is 25 eggs.") < said.index("Sorry, that was wrong. 6 times 4 is 24 eggs.")
        assert last_number(said) == 24.0
        await one.say(ALSO)
        await one.wait(lambda: len(one.of(TurnEnded)) == 2)
        assert ("25" in one.blocks.text("heard1")) == ("25" in said)
