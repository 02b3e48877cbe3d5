from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agent.conversation import Action, Answer, Conversation, Hear, HoldOpen, Interrupt, Release, TakeBack
from audio.messages import EarsEvent, HardEnd, SoftEnd, SpeechResumed, SpeechStarted, Words

TEXTS = st.sampled_from(["", "what", "what is", "what is it?", " what is it? "])


def words(text: str, *, final: bool = False) -> Words:
    return Words(1, 0, text, "", (), final)


STARTED, SOFT, RESUMED, HARD = SpeechStarted(1, 0, 0), SoftEnd(1, 9, 9), SpeechResumed(1, 9), HardEnd(1, 9, 9)


def told(conversation: Conversation, *events: EarsEvent) -> list[Action]:
    return [action for event in events for action in conversation.receive(event)]


def answering(text: str = "what is it?") -> Conversation:
    conversation = Conversation()
    told(conversation, STARTED, SOFT, words(text), words(text, final=True), HARD)
    assert conversation.state == "answering"
    return conversation


def test_a_question() -> None:
    conversation = Conversation()
    assert told(conversation, STARTED, words(""), words("what is")) == [Hear("what is")]
    assert told(conversation, SOFT, words("what is it?")) == [HoldOpen("question"), Answer("what is it?")]
    assert told(conversation, words("what is it?", final=True), HARD) == [Release("what is it?", 9)]
    conversation.replied()
    assert conversation.state == "idle"


def test_an_answer_is_taken_back_when_speech_resumes() -> None:
    conversation = Conversation()
    told(conversation, STARTED, SOFT, words("what is"))
    assert told(conversation, RESUMED) == [TakeBack()]
    assert told(conversation, words("what is it?")) == [Hear("what is it?")]
    assert told(conversation, SOFT, words("what is it?")) == [HoldOpen("question"), Answer("what is it?")]


def test_an_answer_to_other_words_is_taken_back() -> None:
    conversation = Conversation()
    told(conversation, STARTED, SOFT, words("what is"))
    assert told(conversation, words("what is it?", final=True), HARD) == [
        TakeBack(),
        Answer("what is it?"),
        Release("what is it?", 9),
    ]


def test_a_final_transcript_without_words_takes_the_answer_back() -> None:
    conversation = Conversation()
    told(conversation, STARTED, SOFT, words("what is"))
    assert told(conversation, words("", final=True), HARD) == [TakeBack()]
    assert conversation.state == "idle"


@pytest.mark.parametrize("text", ["what is", "what is it...", "what is it,", "it is so.", "stop!", 'he said "no."'])
def test_words_that_may_go_on_hold_the_turn_open(text: str) -> None:
    conversation = Conversation()
    ending: Literal["statement", "unfinished"] = "unfinished" if text.startswith("what") else "statement"
    assert told(conversation, STARTED, SOFT, words(text)) == [HoldOpen(ending), Answer(text)]


@pytest.mark.parametrize("text", ["what is it?", 'did he say "no?"'])
def test_a_question_is_complete(text: str) -> None:
    conversation = Conversation()
    assert told(conversation, STARTED, SOFT, words(text)) == [HoldOpen("question"), Answer(text)]


def test_nothing_holds_a_turn_open_after_its_final_words() -> None:
    conversation = Conversation()
    assert told(conversation, STARTED, SOFT, words("what is", final=True)) == [Answer("what is")]


def test_words_over_a_reply_interrupt_it_and_are_heard() -> None:
    conversation = answering()
    assert told(conversation, STARTED, words("")) == []
    assert told(conversation, words("stop?"), words("stop it")) == [Interrupt(), Hear("stop?"), Hear("stop it")]


def test_a_word_over_a_reply_that_is_known_only_at_its_end_is_answered() -> None:
    conversation = answering()
    assert told(conversation, STARTED, SOFT, words("stop?")) == [Interrupt(), HoldOpen("question"), Answer("stop?")]
    assert told(conversation, words("stop?", final=True), HARD) == [Release("stop?", 9)]


def test_a_cough_over_a_reply_changes_nothing() -> None:
    conversation = answering()
    assert told(conversation, STARTED, SOFT, words(" "), RESUMED, SOFT, words("", final=True), HARD) == []
    assert conversation.state == "answering"


@pytest.mark.parametrize("heard_before", [0, 1, 2])
def test_a_turn_that_begins_over_the_last_word_of_a_reply_is_answered(heard_before: int) -> None:
    conversation = answering()
    events: list[EarsEvent] = [STARTED, words(""), SOFT]
    told(conversation, *events[: heard_before + 1])
    conversation.replied()
    rest = [*events[heard_before + 1 :], words("and now"), words("and now", final=True), HARD]
    assert told(conversation, *rest)[-2:] == [Answer("and now"), Release("and now", 9)]


def test_silence_and_a_cough_end_in_idleness() -> None:
    conversation = Conversation()
    assert told(conversation, STARTED, SOFT, words("", final=True), HARD) == []
    assert conversation.state == "idle"


class Turns(RuleBasedStateMachine):
    """Legal orders of the ears' events (audio.messages), with the end of the reply at any moment."""

    def __init__(self) -> None:
        super().__init__()
        self.conversation = Conversation()
        self.in_turn = self.soft = self.final = False
        self.outstanding = self.released = False
        self.interrupts = 0
        self.last = ""

    def tell(self, event: EarsEvent) -> list[Action]:
        actions = self.conversation.receive(event)
        for action in actions:
            match action:
                case Answer(text):
                    assert not self.outstanding, "a second answer at once"
                    assert text == text.strip() != ""
                    assert self.soft or self.final, "an answer while somebody speaks"
                    assert text == self.last
                    self.outstanding = True
                case TakeBack():
                    assert self.outstanding
                    assert not self.released, "what may be heard is not taken back"
                    self.outstanding = False
                case Release(text, last_sample):
                    assert isinstance(event, HardEnd)
                    assert self.outstanding
                    assert (text, last_sample) == (self.last, event.last_sample)
                    self.released = True
                case Interrupt():
                    assert self.released
                    assert isinstance(event, Words)
                    assert event.committed.strip()
                    self.outstanding = self.released = False
                case HoldOpen():
                    assert self.soft
                    assert not self.final
                    assert actions[-1] == Answer(self.last)
                case Hear(text):
                    assert text
                    assert not self.outstanding
        return actions

    @precondition(lambda self: not self.in_turn)
    @rule()
    def start(self) -> None:
        self.in_turn, self.soft, self.final, self.last = True, False, False, ""
        assert self.tell(STARTED) == []

    @precondition(lambda self: self.in_turn and not self.final)
    @rule(text=TEXTS)
    def partial(self, text: str) -> None:
        was_released = self.released
        self.last = text.strip()
        actions = self.tell(words(text))
        assert actions.count(Interrupt()) == (was_released and bool(self.last))

    @precondition(lambda self: self.in_turn and not self.soft and not self.final)
    @rule()
    def pause(self) -> None:
        self.soft = True
        assert self.tell(SOFT) == []

    @precondition(lambda self: self.in_turn and self.soft and not self.final)
    @rule()
    def resume(self) -> None:
        self.soft = False
        self.tell(RESUMED)
        assert self.released or not self.outstanding

    @precondition(lambda self: self.in_turn and not self.final)
    @rule(text=TEXTS)
    def final_words(self, text: str) -> None:
        self.final, self.last = True, text.strip()
        self.tell(words(text, final=True))

    @precondition(lambda self: self.in_turn and self.final)
    @rule(last=st.integers(0, 9))
    def end(self, last: int) -> None:
        reply_goes_on = self.released
        actions = self.tell(HardEnd(1, last, last))
        assert bool(actions) == (bool(self.last) and not reply_goes_on)
        self.in_turn = self.soft = self.final = False
        assert self.conversation.state == ("answering" if self.released else "idle")

    @precondition(lambda self: self.released)
    @rule()
    def replied(self) -> None:
        self.conversation.replied()
        self.outstanding = self.released = False
        assert self.conversation.state == ("listening" if self.in_turn else "idle")

    @invariant()
    def states_tell_what_is_outstanding(self) -> None:
        assert self.outstanding == (self.conversation.state in {"wagered", "answering"})
        assert self.released == (self.conversation.state == "answering")


TestTurns = Turns.TestCase
TestTurns.settings = settings(max_examples=150, stateful_step_count=25, deadline=None, derandomize=True)
