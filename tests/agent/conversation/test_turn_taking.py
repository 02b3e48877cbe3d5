from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agent.conversation.options import TurnOptions
from agent.conversation.turn_taking import (
    Action,
    Answer,
    Authorize,
    EndTurnAfter,
    Forget,
    HardStop,
    Hear,
    Interrupt,
    LongSilence,
    Pause,
    Resume,
    Retract,
    TurnTaking,
)
from audio.messages import (
    EarsEvent,
    Glimpsed,
    HardEnd,
    SoftEnd,
    SpeechLasts,
    SpeechResumed,
    SpeechStarted,
    StopHeard,
    ToldAhead,
    Words,
)

TEXTS = st.sampled_from(["", "what", "what is", "what is it?", " what is it? ", "mm-hm", "Yeah, okay.", "Stop!"])
TENTATIVE = st.sampled_from(["", "it", "stop"])
GRACE = 16 * TurnOptions().grace_ms


def words(text: str, *, final: bool = False, tentative: str = "") -> Words:
    return Words(1, 0, text, tentative, (), final)


STARTED, SOFT, RESUMED, HARD = SpeechStarted(1, 0, 0), SoftEnd(1, 9, 9), SpeechResumed(1, 9), HardEnd(1, 9, 9)
LATER = SpeechStarted(2, GRACE + 99, GRACE + 99)


def told(conversation: TurnTaking, *events: EarsEvent | ToldAhead, now_s: float = 0.0) -> list[Action]:
    return [action for event in events for action in conversation.receive(event, now_s)]


def acted(conversation: TurnTaking, *events: EarsEvent | ToldAhead) -> list[Action]:
    """What is to be done beside waiting."""
    return [action for action in told(conversation, *events) if not isinstance(action, EndTurnAfter)]


def answering(text: str = "what is it?") -> TurnTaking:
    conversation = TurnTaking()
    told(conversation, STARTED, SOFT, words(text), words(text, final=True), HARD)
    assert conversation.state == "answering"
    return conversation


def test_a_question() -> None:
    conversation = TurnTaking()
    assert told(conversation, STARTED, words(""), words("what is")) == [Hear("what is")]
    assert told(conversation, SOFT, words("what is it?")) == [Answer("what is it?"), EndTurnAfter("question")]
    assert told(conversation, words("what is it?", final=True), HARD) == [Authorize("what is it?", 9)]
    conversation.replied()
    assert conversation.state == "idle"


def test_where_any_voice_interrupts_it_lasts_longer_than_a_sign_of_listening() -> None:
    conversation = answering()
    conversation.interrupted_by = "voice"
    assert told(conversation, LATER, SpeechLasts(2, 9)) == [Pause(), Interrupt()]
    assert told(conversation, words(""), SOFT, words("", final=True), HARD) == []
    assert conversation.state == "idle"


def test_a_voice_that_lasts_interrupts_though_that_is_known_before_its_beginning_is_told() -> None:
    conversation = answering()
    conversation.interrupted_by = "voice"
    assert told(conversation, SpeechLasts(2, 9)) == []
    assert told(conversation, LATER) == [Interrupt()]


@pytest.mark.parametrize("text", ["", "Mm-hmm.", "MMM", "Yes."])
def test_where_any_voice_interrupts_a_short_one_does_by_its_words(text: str) -> None:
    conversation = answering()
    conversation.interrupted_by = "voice"
    assert acted(conversation, LATER, SOFT, words(text), words(text, final=True), HARD) == [Pause(), Resume()]
    assert Interrupt() in told(conversation, LATER, SOFT, words("Which one?"))


def test_a_voice_that_lasts_interrupts_nothing_where_words_do() -> None:
    assert acted(answering(), LATER, SpeechLasts(2, 9)) == [Pause()]


def glimpse(text: str, turn: int = 2) -> Glimpsed:
    return Glimpsed(turn, text, (0.9,) * len(text.split()), 9)


def test_words_interrupt_what_cannot_be_paused_as_soon_as_two_short_decodes_hear_them() -> None:
    conversation = TurnTaking(can_pause=False)
    told(conversation, STARTED, SOFT, words("what?"), words("what?", final=True), HARD, LATER)
    assert told(conversation, glimpse("and then"), glimpse("mhm"), glimpse("and then"), glimpse("old", turn=1)) == []
    assert told(conversation, glimpse("and then")) == []
    assert told(conversation, glimpse("and then what")) == [Interrupt()]
    assert told(conversation, glimpse("and then what")) == []


def test_a_reply_that_is_paused_waits_for_the_transcript() -> None:
    assert told(answering(), LATER, glimpse("and then"), glimpse("and then")) == [Pause()]


def test_what_is_said_over_a_reply_that_nothing_interrupts_changes_nothing_but_a_stop_phrase_does() -> None:
    conversation = answering()
    conversation.interrupted_by = "nothing"
    assert told(conversation, LATER, words("why?"), SOFT, words("why?", final=True), HARD)[1:] == [Resume()]
    assert conversation.state == "answering"
    assert told(conversation, LATER, StopHeard(3, "stop", 9)) == [Pause(), HardStop("stop"), Interrupt()]


def test_a_reply_that_cannot_be_paused_is_not() -> None:
    conversation = TurnTaking(can_pause=False)
    conversation.requested()
    assert acted(conversation, LATER, SOFT, words(""), words("", final=True), HARD) == []
    assert not conversation.paused


def test_a_turn_that_is_dropped_takes_its_preemptive_reply_along() -> None:
    conversation = TurnTaking()
    told(conversation, STARTED, SOFT, words("what is it?"))
    assert conversation.drop_turn() == [Retract(), Forget()]
    assert conversation.state == "idle"
    assert conversation.prompted()


def test_a_reply_that_a_client_asks_for_is_interrupted_like_any_other() -> None:
    conversation = TurnTaking()
    conversation.requested()
    assert told(conversation, STARTED, words("no"))[1:] == [Interrupt(), Hear("no")]
    conversation.requested()
    conversation.replied()
    assert conversation.state == "listening", "the user has not ended"


def test_an_answer_is_taken_back_when_speech_resumes() -> None:
    conversation = TurnTaking()
    told(conversation, STARTED, SOFT, words("what is"))
    assert told(conversation, RESUMED) == [Retract()]
    assert told(conversation, words("what is it?")) == [Hear("what is it?")]
    assert told(conversation, SOFT, words("what is it?")) == [Answer("what is it?"), EndTurnAfter("question")]


def test_an_answer_to_other_words_is_taken_back() -> None:
    conversation = TurnTaking()
    told(conversation, STARTED, SOFT, words("what is"))
    assert told(conversation, words("what is it?", final=True), HARD) == [
        Retract(),
        Answer("what is it?"),
        Authorize("what is it?", 9),
    ]


def test_a_final_transcript_without_words_takes_the_answer_back() -> None:
    conversation = TurnTaking()
    told(conversation, STARTED, SOFT, words("what is"))
    assert told(conversation, words("", final=True), HARD) == [Retract()]
    assert conversation.state == "idle"


@pytest.mark.parametrize("text", ["what is", "what is it...", "what is it,", "it is so.", "do it!", 'he said "no."'])
def test_words_that_may_go_on_hold_the_turn_open(text: str) -> None:
    conversation = TurnTaking()
    ending: Literal["statement", "unfinished"] = "unfinished" if text.startswith("what") else "statement"
    assert told(conversation, STARTED, SOFT, words(text)) == [Answer(text), EndTurnAfter(ending)]


@pytest.mark.parametrize("text", ["what is it?", 'did he say "no?"'])
def test_a_question_is_complete(text: str) -> None:
    conversation = TurnTaking()
    assert told(conversation, STARTED, SOFT, words(text)) == [Answer(text), EndTurnAfter("question")]


@pytest.mark.parametrize("text", ["", "I see.", "yeah", "I", "Stop."])
def test_what_is_not_answered_is_not_waited_for(text: str) -> None:
    conversation = answering()
    assert EndTurnAfter("question") in told(conversation, LATER, SOFT, words(text))
    assert not any(isinstance(action, EndTurnAfter) for action in told(conversation, RESUMED, words(text)))


def test_each_pause_is_waited_for_anew_though_its_words_are_the_same() -> None:
    conversation = TurnTaking()
    assert EndTurnAfter("unfinished") in told(conversation, STARTED, SOFT, words("what is"))
    assert EndTurnAfter("unfinished") in told(conversation, RESUMED, SOFT, words("what is"))


def test_nothing_holds_a_turn_open_after_its_final_words() -> None:
    conversation = TurnTaking()
    assert told(conversation, STARTED, SOFT, words("what is", final=True)) == [Answer("what is")]


def test_a_voice_over_a_reply_pauses_it_and_words_interrupt_it() -> None:
    conversation = answering()
    assert told(conversation, LATER, words("")) == [Pause()]
    assert told(conversation, words("but why?"), words("but why is")) == [
        Interrupt(),
        Hear("but why?"),
        Hear("but why is"),
    ]
    assert not conversation.paused


def test_a_word_over_a_reply_that_is_known_only_at_its_end_is_answered() -> None:
    conversation = answering()
    assert told(conversation, LATER, SOFT, words("why?")) == [
        Pause(),
        Interrupt(),
        Answer("why?"),
        EndTurnAfter("question"),
    ]
    assert told(conversation, words("why?", final=True), HARD) == [Authorize("why?", 9)]


@pytest.mark.parametrize("text", ["", " ", "Mm-hmm.", "Yeah, okay.", "I see.", "uh-huh uh-huh"])
def test_after_a_cough_or_a_backchannel_the_reply_goes_on(text: str) -> None:
    conversation = answering()
    assert acted(conversation, LATER, words(""), SOFT, words(text)) == [Pause(), Resume()]
    assert told(conversation, words(text, final=True), HARD) == []
    assert conversation.state == "answering"
    assert told(conversation, LATER) == [Pause()]


@pytest.mark.parametrize(
    ("text", "confidence", "interrupts"),
    [
        ("Mm-on.", (0.01,), False),
        ("MMA CHEM", (0.16, 0.11), False),
        ("Wait", (0.3,), True),
        ("MMA wait", (0.1, 0.3), True),
        ("no not that", (0.1, 0.1, 0.1), True),
    ],
)
def test_a_word_or_two_that_nobody_could_make_out_interrupt_nothing(
    text: str, confidence: tuple[float, ...], interrupts: bool
) -> None:
    conversation = answering()
    told(conversation, LATER, SOFT)
    heard = Words(2, 0, text, "", confidence, final=True)
    assert (Interrupt(resumed=False) in told(conversation, heard)) == interrupts
    assert conversation.paused is False


def test_a_backchannel_that_becomes_words_interrupts() -> None:
    conversation = answering()
    assert acted(conversation, LATER, words("yeah"), SOFT, words("yeah")) == [Pause(), Resume()]
    assert told(conversation, RESUMED, words("yeah but"), words("yeah but why")) == [
        Pause(),
        Interrupt(),
        Hear("yeah but"),
        Hear("yeah but why"),
    ]


def test_the_beginning_of_a_sign_of_listening_waits_for_the_rest_of_it() -> None:
    conversation = answering()
    assert acted(conversation, LATER, words("I"), SOFT, words("I")) == [Pause()]
    assert told(conversation, RESUMED, SOFT, words("I see.", final=True), HARD) == [Resume()]
    assert told(conversation, LATER, words("I"), words("I meant")) == [Pause(), Interrupt(), Hear("I meant")]
    assert Interrupt() in told(answering(), LATER, SOFT, words("I", final=True))


def test_yes_to_a_question_of_the_reply_is_an_answer() -> None:
    conversation = answering()
    conversation.asking = True
    assert told(conversation, LATER, SOFT, words("Yeah.")) == [
        Pause(),
        Interrupt(),
        Answer("Yeah."),
        EndTurnAfter("statement"),
    ]


def test_a_pause_without_words_is_limited() -> None:
    conversation = answering()
    assert told(conversation, LATER, now_s=5.0) == [Pause()]
    limit = 5.0 + conversation.options.pause_ms / 1000
    assert conversation.tick(limit - 0.01) == []
    assert conversation.tick(limit) == [Resume()]
    assert conversation.tick(limit + 9) == []
    assert told(conversation, words("what noise"), now_s=limit + 9) == [Interrupt(), Hear("what noise")]


def test_without_a_pause_only_words_silence_a_reply() -> None:
    conversation = TurnTaking(TurnOptions(pause_on_voice=False))
    told(conversation, STARTED, SOFT, words("what?"), words("what?", final=True), HARD)
    assert told(conversation, LATER, words("no")) == [Interrupt(), Hear("no")]


@pytest.mark.parametrize(("start", "same"), [(9, True), (9 + GRACE, True), (10 + GRACE, False)])
def test_going_on_within_the_grace_time_is_the_same_turn(start: int, *, same: bool) -> None:
    conversation = answering()
    assert told(conversation, SpeechStarted(2, start, start), words("and how")) == [
        Pause(),
        Interrupt(resumed=same),
        Hear("and how"),
    ]


@pytest.mark.parametrize("state", ["idle", "listening", "preemptive", "answering"])
@pytest.mark.parametrize("tentative", [False, True])
def test_a_stop_phrase_stops_everything_in_every_state(state: str, *, tentative: bool) -> None:
    conversation = TurnTaking() if state != "answering" else answering()
    if state in {"listening", "preemptive"}:
        told(conversation, STARTED, words("I say"))
    if state == "preemptive":
        told(conversation, SOFT, words("I say"))
        assert conversation.state == "preemptive"
    events: list[EarsEvent] = [] if state in {"listening", "preemptive"} else [LATER]
    said = "I say. Stop!" if state in {"listening", "preemptive"} else "Stop!"
    heard = words("", tentative=f"{said} What") if tentative else words(said)
    actions = told(conversation, *events, heard)
    assert HardStop("stop") in actions
    cut = {"answering": Interrupt(), "preemptive": Retract()}.get(state)
    assert cut is None or cut in actions
    assert actions.count(HardStop("stop")) == 1
    assert HardStop("stop") not in told(conversation, words(said), SOFT, words(said), words(said, final=True), HARD)


def test_the_last_tentative_word_may_be_half_of_another_and_must_be_heard_again() -> None:
    conversation = answering()
    once = words("", tentative="the rain stop")
    assert HardStop("stop") not in told(conversation, LATER, once, words("the rain stopped"), once)
    assert HardStop("stop") in told(conversation, once)
    assert HardStop("stop") not in told(conversation, once, words("the rain stop"), words("the rain stop", final=True))


def test_speech_that_pauses_leaves_no_half_word() -> None:
    conversation = answering()
    assert HardStop("stop") not in told(conversation, LATER, words("", tentative="Stop"))
    assert HardStop("stop") in told(conversation, SOFT, words("Stop."))


def test_stop_alone_is_not_answered_and_stop_with_more_is() -> None:
    for text, answered in (("Stop!", False), ("No, stop. Please stop it.", False), ("Stop. How far is it?", True)):
        conversation = answering()
        actions = told(conversation, LATER, SOFT, words(text), words(text, final=True), HARD)
        assert actions[:3] == [Pause(), HardStop("stop"), Interrupt()]
        assert (Answer(text) in actions) == answered
        assert conversation.state == ("answering" if answered else "idle")


def test_words_that_turn_out_to_be_a_stop_are_taken_out_of_the_input() -> None:
    conversation = TurnTaking()
    assert told(conversation, STARTED, words("Stock")) == [Hear("Stock")]
    assert told(conversation, words("Stop"), words("Stop.", final=True), HARD) == [HardStop("stop"), Forget()]


def test_a_stop_heard_ahead_of_the_transcript_is_told_once() -> None:
    conversation = answering()
    assert told(conversation, LATER, StopHeard(2, "stop", 9)) == [Pause(), HardStop("stop"), Interrupt()]
    assert told(conversation, words("Stop."), StopHeard(2, "stop", 9)) == []
    assert told(conversation, words("Stop. Stop!")) == [HardStop("stop")]


def test_a_key_stops_the_reply_and_what_is_being_said_is_not_answered() -> None:
    conversation = answering()
    assert conversation.interrupt() == [Interrupt()]
    assert conversation.state == "idle"
    told(conversation, STARTED, SOFT, words("what?"))
    assert conversation.interrupt() == [Retract()]
    assert told(conversation, words("what?", final=True), HARD) == [Forget()]
    assert conversation.interrupt() == []
    assert conversation.state == "idle"


def test_a_reply_that_nobody_asked_for_waits_for_its_turn_and_can_be_interrupted() -> None:
    conversation = TurnTaking()
    told(conversation, STARTED)
    assert not conversation.prompted()
    told(conversation, words("", final=True), HARD)
    assert conversation.prompted()
    assert not conversation.prompted()
    assert told(conversation, STARTED, words("not now")) == [Pause(), Interrupt(), Hear("not now")]


def test_long_silence_is_told_once_in_its_time() -> None:
    conversation = TurnTaking(TurnOptions(long_silence_s=10))
    told(conversation, STARTED, SOFT, words("what?"), words("what?", final=True), HARD, now_s=1.0)
    assert conversation.tick(50.0) == []
    conversation.replied()
    assert [conversation.tick(second) for second in (59.9, 60.0, 60.1, 69.9)] == [[], [LongSilence(10.0)], [], []]
    assert TurnTaking().tick(1e9) == []


@pytest.mark.parametrize("heard_before", [0, 1, 2])
def test_a_turn_that_begins_over_the_last_word_of_a_reply_is_answered(heard_before: int) -> None:
    conversation = answering()
    events: list[EarsEvent] = [STARTED, words(""), SOFT]
    told(conversation, *events[: heard_before + 1])
    conversation.replied()
    rest = [*events[heard_before + 1 :], words("and now"), words("and now", final=True), HARD]
    assert acted(conversation, *rest)[-2:] == [Answer("and now"), Authorize("and now", 9)]


def test_silence_and_a_cough_end_in_idleness() -> None:
    conversation = TurnTaking()
    assert told(conversation, STARTED, SOFT, words("", final=True), HARD) == []
    assert conversation.state == "idle"


class Turns(RuleBasedStateMachine):
    """Legal orders of the ears' events (audio.messages), keys, time and the end of the reply at any moment."""

    def __init__(self) -> None:
        super().__init__()
        self.conversation = TurnTaking(TurnOptions(long_silence_s=20))
        self.now = 0.0
        self.in_turn = self.soft = self.final = False
        self.outstanding = self.released = self.paused = self.unprompted = False
        self.last = ""
        self.stops = 0
        """Commands in the newest transcript of the turn."""

    def check(self, actions: list[Action], event: EarsEvent | None = None) -> list[Action]:  # noqa: C901 - a table
        for action in actions:
            match action:
                case Answer(text):
                    assert not self.outstanding, "a second answer at once"
                    assert text == text.strip() == self.last != ""
                    assert self.soft or self.final, "an answer while somebody speaks"
                    assert text != "Stop!"
                    self.outstanding = True
                case Retract():
                    assert self.outstanding
                    assert not self.released, "what may be heard is not taken back"
                    self.outstanding = False
                case Authorize(text, last_sample):
                    assert isinstance(event, HardEnd)
                    assert self.outstanding
                    assert (text, last_sample) == (self.last, event.last_sample)
                    self.released = True
                case Pause():
                    assert self.released
                    assert not self.paused
                    self.paused = True
                case Resume():
                    assert self.released
                    assert self.paused
                    self.paused = False
                case Interrupt():
                    assert self.released
                    self.outstanding = self.released = self.paused = False
                case HardStop(phrase):
                    assert phrase == "stop"
                    assert isinstance(event, Words)
                    assert "stop" in f"{event.committed} {event.tentative}".lower()
                    assert event.tentative != "stop" or "Stop!" in event.committed or self.stops
                case EndTurnAfter():
                    assert self.soft
                    assert not self.final
                case Hear(text):
                    assert text
                    assert not self.outstanding
                case LongSilence():
                    assert not self.in_turn
                    assert not self.outstanding
        return actions

    def tell(self, event: EarsEvent) -> list[Action]:
        return self.check(self.conversation.receive(event, self.now), event)

    def tell_words(self, text: str, tentative: str, *, final: bool) -> None:
        self.last = text.strip()
        was_released, was_paused = self.released, self.paused
        actions = self.tell(words(text, final=final, tentative=tentative))
        self.stops = (text == "Stop!") + (tentative == "stop")
        kinds = [type(action) for action in actions]
        assert kinds.count(EndTurnAfter) == (self.soft and not final)
        stopped = HardStop in kinds
        ordinary = self.last not in {"", "mm-hm", "Yeah, okay.", "Stop!"}
        if was_released:
            assert (Interrupt in kinds) == (stopped or ordinary or (self.last == "Stop!" and Interrupt in kinds))
            if not stopped and self.last in {"", "mm-hm", "Yeah, okay."}:
                assert (Resume in kinds) == (was_paused and (self.soft or final))

    @precondition(lambda self: not self.in_turn)
    @rule()
    def start(self) -> None:
        self.in_turn, self.soft, self.final, self.last, self.stops = True, False, False, "", 0
        assert self.tell(STARTED) == ([Pause()] if self.released else [])

    @precondition(lambda self: self.in_turn and not self.final)
    @rule(text=TEXTS, tentative=TENTATIVE)
    def partial(self, text: str, tentative: str) -> None:
        self.tell_words(text, tentative, final=False)

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
        assert self.paused == self.released

    @precondition(lambda self: self.in_turn and not self.final)
    @rule(text=TEXTS)
    def final_words(self, text: str) -> None:
        self.final = True
        self.tell_words(text, "", final=True)

    @precondition(lambda self: self.in_turn and self.final)
    @rule(last=st.integers(0, 9))
    def end(self, last: int) -> None:
        self.tell(HardEnd(1, last, last))
        self.in_turn = self.soft = self.final = False
        assert self.conversation.state == ("answering" if self.released else "idle")
        assert not self.paused, "nobody speaks, and still the reply waits"

    @precondition(lambda self: self.released)
    @rule()
    def replied(self) -> None:
        self.conversation.replied()
        self.outstanding = self.released = self.paused = False
        assert self.conversation.state == ("listening" if self.in_turn else "idle")

    @rule()
    def key(self) -> None:
        was_outstanding = self.outstanding
        actions = self.check(self.conversation.interrupt())
        assert bool(actions) == was_outstanding
        assert not self.outstanding

    @rule()
    def note(self) -> None:
        was_idle = not self.in_turn and not self.outstanding
        assert self.conversation.prompted() == was_idle
        if was_idle:
            self.outstanding = self.released = True

    @rule(seconds=st.sampled_from([0.02, 1.0, 30.0]))
    def time(self, seconds: float) -> None:
        self.now += seconds
        self.check(self.conversation.tick(self.now))
        assert not (self.paused and seconds > 1.5)

    @invariant()
    def states_tell_what_is_outstanding(self) -> None:
        assert self.outstanding == (self.conversation.state in {"preemptive", "answering"})
        assert self.released == (self.conversation.state == "answering")
        assert self.paused == self.conversation.paused


TestTurns = Turns.TestCase
TestTurns.settings = settings(max_examples=200, stateful_step_count=30, deadline=None, derandomize=True)
