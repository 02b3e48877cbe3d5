from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from agent.conversation.reply import Reply
from agent.conversation.sinks import PlayoutSink
from agent.conversation.speaker import Speaker
from audio.messages import Clip, ClipStarted
from audio.speaking.playout import Playout
from audio.speaking.synthesizer import Synthesizer
from tests.audio.speaking.test_synthesizer import OPTIONS, RATE, Letters, synthesizer

HOLD = Clip("One moment.", np.full(70, 5, np.int16), RATE)


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


class Spoken:
    """A speaker on a voice of letters, with what a listener heard of it."""

    def __init__(self, speaker: Speaker, synthesis: Synthesizer, voice: Letters) -> None:
        self.speaker, self.synthesis, self.voice = speaker, synthesis, voice
        self.reply: Reply
        self.given_way: list[float] = []
        self.now = 0
        self.started: list[ClipStarted] = []
        self.sound = np.zeros(0, np.int16)

    def begin(self) -> None:
        self.reply = self.speaker.begin()

    def say(self, sentence: str) -> None:
        self.speaker.say(self.reply, sentence)

    def unsay(self, sentence: str) -> bool:
        return self.speaker.unsay(self.reply, sentence)

    def open(self) -> None:
        self.speaker.authorise(self.reply)

    def fill(self) -> None:
        self.speaker.fill(self.reply, HOLD, "filler")

    def silence(self) -> str:
        """Cancel the reply, and begin another one."""
        heard = self.speaker.cancel(self.reply)
        self.begin()
        return heard

    def listen(self, samples: int) -> None:
        self.now += samples
        sound, events = self.speaker.advance(self.now)
        assert len(sound) == samples
        self.sound = np.concatenate([self.sound, sound])
        self.started += [event for event in events if isinstance(event, ClipStarted)]

    async def quiet(self) -> None:
        """Let the voice say all that it was given."""
        thread = self.synthesis._thread
        for _ in range(self.speaker._texts.qsize() + 3):
            await settled()
            await asyncio.get_running_loop().run_in_executor(thread, lambda: None)
            await settled()

    @property
    def texts(self) -> list[str]:
        return [clip.text for clip in self.started]


@asynccontextmanager
async def mouth() -> AsyncIterator[Spoken]:
    voice = Letters()
    async with synthesizer(voice) as synthesis:
        given_way: list[float] = []

        def give_way(seconds: float) -> Callable[[], None]:
            given_way.append(seconds)
            return lambda: given_way.append(0.0)

        speaker = Speaker(synthesis, PlayoutSink(Playout(RATE)), OPTIONS, give_way)
        task = asyncio.create_task(speaker.run())
        one = Spoken(speaker, synthesis, voice)
        one.given_way = given_way
        yield one
        voice.may_go.set()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()


async def test_nothing_is_heard_before_the_gate_opens() -> None:
    async with mouth() as one:
        one.begin()
        one.say("It is so.")
        await one.quiet()
        one.listen(5000)
        assert one.started == []
        assert not one.sound.any()
        assert one.speaker.lead_s > 0
        assert one.reply.ledger.heard() == ""


async def test_the_processor_is_the_voice_s_while_the_listener_waits_for_it_and_not_else() -> None:
    async with mouth() as one:
        one.begin()
        one.say("It is so.")
        await one.quiet()
        assert one.given_way == []
        one.open()
        one.listen(5000)
        one.say("And so it was.")
        await one.quiet()
        longest, over = one.given_way
        assert 0 < longest < 1
        assert over == 0, "and no longer"
        one.say("Much is left to hear when this is spoken.")
        one.say("And this.")
        await one.quiet()
        assert len(one.given_way) == 2


async def test_what_was_held_is_heard_in_its_order_when_the_gate_opens() -> None:
    async with mouth() as one:
        one.begin()
        one.say("It is so.")
        one.say("And so it was. It ends.")
        await one.quiet()
        one.listen(1000)
        one.open()
        one.say("At last.")
        await one.quiet()
        one.listen(5000)
        assert one.texts == ["It is so. ", "And so it was. ", "It ends. ", "At last. "]
        assert one.started[0].at == 1000
        assert one.speaker.lead_s == 0
        assert one.reply.ledger.heard().strip() == "It is so. And so it was. It ends. At last."


async def test_a_reply_that_is_begun_anew_drops_the_old_one_at_every_stage() -> None:
    async with mouth() as one:
        one.begin()
        one.say("One is held.")
        await one.quiet()
        one.voice.may_go.clear()
        one.voice.began.clear()
        one.say("Two is being made.")
        one.say("Three waits.")
        await asyncio.get_running_loop().run_in_executor(None, one.voice.began.wait)
        one.begin()
        assert one.speaker.lead_s == 0
        one.say("Four is new.")
        one.voice.may_go.set()
        await one.quiet()
        one.open()
        one.listen(5000)
        assert one.texts == ["Four is new. "]
        assert "Three waits." not in one.voice.said
        assert one.speaker.lead_s == 0
        assert one.reply.ledger.heard() == "Four is new. "


async def test_silence_stops_at_once_and_tells_what_was_heard() -> None:
    async with mouth() as one:
        one.begin()
        one.open()
        one.say("One two three four.")
        one.say("Five six.")
        await one.quiet()
        one.listen(110)
        heard = one.silence()
        assert heard
        assert "One two three four. Five six. ".startswith(heard)
        assert not heard.endswith("four.")
        before = one.sound.copy()
        one.listen(5000)
        assert not one.sound[len(before) :].any()
        assert one.speaker.lead_s == 0


async def test_fillers_are_heard_and_are_no_part_of_the_reply() -> None:
    async with mouth() as one:
        one.begin()
        one.open()
        one.fill()
        one.say("It is so.")
        await one.quiet()
        one.listen(5000)
        assert [clip.kind for clip in one.started] == ["filler", "content"]
        assert one.reply.ledger.heard() == "It is so. "
        assert one.speaker.seconds_of(one.started[0].clip) == len(HOLD.samples) / RATE


async def test_what_fills_a_wait_does_not_wait_for_the_gate() -> None:
    async with mouth() as one:
        one.begin()
        one.say("It is so.")
        one.fill()
        await one.quiet()
        one.listen(5000)
        assert [clip.kind for clip in one.started] == ["filler"]
        assert one.reply.ledger.heard() == ""
        one.open()
        one.listen(5000)
        assert one.reply.ledger.heard() == "It is so. "


async def test_the_lead_counts_what_is_not_synthesised_yet() -> None:
    async with mouth() as one:
        one.begin()
        one.open()
        one.voice.may_go.clear()
        one.say("A sentence that is being made.")
        one.say("Another one.")
        waiting = one.speaker.lead_s
        assert waiting > 0
        one.voice.may_go.set()
        await one.quiet()
        assert one.speaker.lead_s > 0
        one.listen(5000)
        assert one.speaker.lead_s == 0


async def test_two_replies_have_a_ledger_each() -> None:
    async with mouth() as one:
        for text in ("It is so.", "It is not."):
            one.begin()
            one.open()
            one.say(text)
            await one.quiet()
            one.listen(2000)
            assert one.reply.ledger.heard() == f"{text} "


SENTENCES = ["It is so.", "One, two and three, four!", "Yes.", "😀", "And then, after all of that, it ended."]


@given(
    st.lists(
        st.one_of(
            st.sampled_from(SENTENCES),
            st.integers(1, 400),
            st.sampled_from(["begin", "open", "silence", "quiet", "filler"]),
        ),
        max_size=25,
    )
)
def test_the_ledger_holds_what_was_played_and_nothing_else(deeds: list[str | int]) -> None:
    async def run() -> None:
        async with mouth() as one:
            one.begin()
            said, is_open = "", False
            for deed in deeds:
                match deed:
                    case "begin":
                        one.begin()
                        said, is_open = "", False
                        one.started.clear()
                    case "open":
                        one.open()
                        is_open = True
                    case "silence":
                        assert said.startswith(one.silence())
                        said, is_open = "", False
                        one.started.clear()
                    case "filler" if is_open:
                        one.fill()
                    case "filler":
                        pass
                    case "quiet":
                        await one.quiet()
                    case int():
                        one.listen(deed)
                        assert is_open or not one.sound[-deed:].any()
                    case _:
                        one.say(deed)
                        said += f"{deed} "
                heard = one.reply.ledger.heard()
                assert said.startswith(heard)
                begun = "".join(clip.text for clip in one.started if clip.kind == "content")
                assert begun.startswith(heard) or heard.startswith(begun)
            one.open()
            await one.quiet()
            one.listen(20_000)
            assert one.speaker.lead_s == 0
            # What has no sound counts as heard only when something after it was played.
            assert one.reply.ledger.heard().rstrip("😀 ") == said.rstrip("😀 ")

    asyncio.run(run())


@given(st.integers(0, 3000), st.integers(0, 2), st.booleans(), st.booleans())
def test_what_was_not_heard_of_an_unsaid_sentence_is_never_heard(
    samples: int, which: int, made: bool, is_open: bool
) -> None:
    sentences = ["One two three four.", "Five, six and seven, eight!", "Nine ten."]

    async def run() -> None:
        async with mouth() as one:
            one.begin()
            if is_open:
                one.open()
            for sentence in sentences:
                one.say(sentence)
            if made:
                await one.quiet()
            one.listen(samples)
            before = one.reply.ledger.heard()
            heard = one.unsay(sentences[which])
            assert not one.unsay("What nobody said.")
            assert one.reply.ledger.heard().removesuffix(" — ").rstrip() == before.rstrip()
            one.open()
            await one.quiet()
            one.listen(20_000)
            assert one.speaker.lead_s == 0
            text = one.reply.ledger.heard()
            assert text.startswith(before.rstrip())
            first = sentences[which].split()[0]
            assert heard == (first in before)
            assert [word for word in sentences[which].split() if word in text.split()] == [
                word for word in sentences[which].split() if word in before.split()
            ]
            for number, sentence in enumerate(sentences):
                assert number == which or sentence in text

    asyncio.run(run())
