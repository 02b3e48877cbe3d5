# ruff: noqa: ARG002 - a policy need not look at all that it is given
"""The loop under other policies than sums: plain notes, a choice between both, and one that a stranger wrote."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from languages.english import ENGLISH
from languages.language import Language
from reasoning.events import KIND, NEED, READY, Probe, ReplyText, Retracted, Thought, TurnDone
from reasoning.options import LoopOptions, Mode
from reasoning.policies.choosing import Always, ByProbes, choice_of
from reasoning.policies.grounding import last_number
from reasoning.policies.plain import Plain
from reasoning.policies.policy import Contradicted, Evidence, Kind, PolicyChoice, ProbeQuestion, Telling
from reasoning.policies.published import Published
from reasoning.policies.sums.sums import Sums
from reasoning.prompting.profiles.profile import UNKNOWN, Calibration, ModelProfile
from reasoning.prompting.script import Script
from tests.reasoning.loop import test_loop
from tests.reasoning.loop.test_loop import FAMILY, Model, rig
from tests.reasoning.scripted_engine import END, Words

over = test_loop.over
QUESTION = "Ann is taller than Bob, and Bob is taller than Cid. Who is the smallest?"
NOTES = f" Ann is above Bob. Bob is above Cid. So the smallest one is Cid.{END}"
NOTED = ByProbes(Sums(), Plain())
NOTING = ModelProfile("noting", ("*",), calibration=Calibration("noting"))
"""Of a model that gains by notes, too."""


class Noting(Model):
    """Thinks in notes where it is asked to, and else in sums."""

    kind: float = 0.0
    """Log-odds of yes when it is asked what kind of question it is."""

    def score_choices(self, before: str) -> float:
        return self.kind if FAMILY.prompts.kind_question in before else super().score_choices(before)

    def write(self, before: str, name: str) -> str:
        if name.startswith("thoughts") and FAMILY.prompts.notes_open in before.rpartition("<|im_start|>")[2]:
            return NOTES
        return super().write(before, name)


def noting(
    result: str = f"The smallest one is Cid.{END}",
    *,
    kind: float = FAMILY.prompts.kind_bias + 0.5,
    need: float = FAMILY.prompts.need_bias - 0.2,
) -> Noting:
    model = Noting(result=lambda _: result, need=need, at_once=f"It is Bob.{END}")
    model.kind = kind
    return model


@dataclass(frozen=True, slots=True)
class Aloud:
    """Says every step as it stands: a policy in some forty lines."""

    @property
    def name(self) -> str:
        return "aloud"

    def opening(self, script: Script) -> Sequence[int]:
        return script.notes_open

    def going_on(self, script: Script) -> Sequence[int]:
        return script.notes_resume_open

    def found(self, step: str, before: Sequence[str], asked: str, language: Language) -> bool:
        return step not in before

    def put_right(self, step: str, language: Language) -> str | None:
        return None

    def circling(self, steps: Sequence[str]) -> bool:
        return False

    def telling(self, script: Script) -> Telling:
        return Telling(script.step_open, script.result_open)

    def verbatim(self, step: str, language: Language, *, at_last: bool) -> str | None:
        return step

    def objection(self, sentence: str, kind: Kind, evidence: Evidence) -> str:
        return "said before" if sentence in evidence.said else ""

    def tells_result(self, sentence: str, evidence: Evidence) -> bool:
        return sentence == evidence.steps[-1]

    def contradicted(self, said: Sequence[str], steps: Sequence[str], language: Language) -> Contradicted | None:
        return None

    def standing(self, steps: Sequence[str], told: str, words: str, language: Language) -> Sequence[str]:
        return steps

    def restated(self, told: str, words: str, language: Language) -> str:
        return ""


@pytest.mark.parametrize("mode", ["async", "think-first"])
async def test_a_policy_of_a_stranger_runs_the_loop(mode: Mode) -> None:
    async with rig(noting(), mode=mode, choice=Always(Aloud())) as one:
        await one.turn(QUESTION)
        assert one.said[-1] == "So the smallest one is Cid."
        assert one.of(Probe) == []
        if mode == "async":
            assert one.said == ["Ann is above Bob.", "Bob is above Cid.", "So the smallest one is Cid."]
            first = next(place for place, event in enumerate(one.events) if isinstance(event, ReplyText))
            assert any(isinstance(event, Thought) for event in one.events[first:])


class Publishing(Model):
    """Writes its reply as one message: a sentence for each line that stands in the thoughts when it begins one."""

    ready: Callable[[int], float]
    asked: int = 0

    def score_choices(self, before: str) -> float:
        assert "far enough ahead" in before
        self.asked += 1
        return self.ready(self.asked)

    def write(self, before: str, name: str) -> str:
        if name.startswith("thoughts"):
            return super().write(before, name)
        head, _, said = before.rpartition("<|im_start|>assistant\n")
        assert head.count("Tell me your reply") == 1
        told = len(PUBLISHED) if "24" in head else 2
        return " ".join(PUBLISHED[:told]).removeprefix(said.strip()) + END


PUBLISHED = ("Two rows hold 8 eggs.", "And that is not all, there are 99 more.", "There are 24 eggs.")


def publishing(ready: Callable[[int], float]) -> Publishing:
    model = Publishing()
    model.ready = ready
    return model


async def test_the_published_policy_says_what_the_writer_writes_and_its_end_ends_the_thoughts() -> None:
    async with rig(publishing(lambda _: 1.0), choice=Always(Published())) as one:
        await one.loop.answer(test_loop.QUESTION)
        # Begun behind the first step: the message ends before the thoughts have found the answer.
        assert one.said == [*PUBLISHED[:2]]
        assert "24" not in one.thought
        first = next(place for place, event in enumerate(one.events) if isinstance(event, ReplyText))
        assert any(isinstance(event, Probe) and event.question == READY for event in one.events[:first])
        assert one.of(Retracted) == []
        assert isinstance(one.events[-1], TurnDone)


async def test_the_published_writer_waits_while_the_answer_is_no() -> None:
    async with rig(publishing(lambda _: -1.0), choice=Always(Published())) as one:
        await one.loop.answer(test_loop.QUESTION)
        assert one.said == [*PUBLISHED]
        ended = max(place for place, event in enumerate(one.events) if isinstance(event, Thought))
        assert all(event not in one.events[:ended] for event in one.of(ReplyText))
        asked = one.of(Probe)
        assert len(asked) > 1
        assert not any(probe.decision for probe in asked)


async def test_a_no_holds_the_published_writer_back_between_two_sentences() -> None:
    async with rig(publishing(lambda time: 1.0 if time == 1 else -1.0), choice=Always(Published())) as one:
        await one.loop.answer(test_loop.QUESTION)
        first, *others = [place for place, event in enumerate(one.events) if isinstance(event, ReplyText)]
        thoughts = [place for place, event in enumerate(one.events) if isinstance(event, Thought)]
        assert thoughts[0] < first < thoughts[-1] < min(others)


async def test_notes_are_thought_to_their_end_and_the_writer_tells_what_they_conclude() -> None:
    async with rig(noting(), choice=NOTED, profile=NOTING) as one:
        await one.turn(QUESTION)
        assert one.said == ["The smallest one is Cid."]
        assert one.thought.rpartition("\n")[2] == NOTES.removesuffix(END)
        assert [(probe.question, probe.decision) for probe in one.of(Probe)] == [(KIND, True), (NEED, False)]
        ended = max(place for place, event in enumerate(one.events) if isinstance(event, Thought))
        assert all(event not in one.events[:ended] for event in one.of(ReplyText))
        (writer,) = (text for name, text in one.engine.log if name == "reply0")
        assert FAMILY.prompts.work_open not in writer
        assert FAMILY.prompts.notes_open in writer


async def test_a_clear_sum_is_asked_about_once() -> None:
    firsts: list[int] = []
    for choice in (ByProbes(Sums()), NOTED):
        async with rig(noting(need=20.0, kind=20.0), choice=choice, profile=NOTING) as one:
            await one.loop.answer(test_loop.QUESTION)
            assert last_number(one.said[-1]) == 24.0
            firsts.append(one.engine.steps)
    assert firsts[0] == firsts[1]


async def test_small_talk_is_answered_at_once() -> None:
    async with rig(noting(kind=-20.0), choice=NOTED, profile=NOTING) as one:
        await one.turn("Who are you?")
        assert one.said == ["It is Bob."]


@pytest.mark.parametrize("context", [200, 100_000])
@pytest.mark.parametrize("mode", ["async", "think-first"])
async def test_a_private_note_is_no_last_resort(mode: Mode, context: int) -> None:
    async with rig(noting(END), mode=mode, choice=Always(Plain()), context=context) as one:
        await one.loop.answer(QUESTION)
        notes = [line.strip() for line in one.thought.replace(". ", ".\n").splitlines() if line.strip()]
        assert not {*one.said} & {*notes}
        assert one.said == [FAMILY.language.replies.no_answer]


@pytest.mark.parametrize("lie", ["The smallest one is Dora.", "The smallest one is 30."])
async def test_a_name_or_a_number_that_nobody_gave_is_not_told_of_notes(lie: str) -> None:
    async with rig(noting(f"Well, {lie}{END}"), choice=NOTED, profile=NOTING) as one:
        await one.turn(QUESTION)
        assert one.said == [FAMILY.language.replies.no_answer]
        assert [event.text for event in one.of(Retracted)] == [f"Well, {lie}"]


async def test_notes_go_on_behind_new_words_and_are_dropped_when_they_are_taken_back() -> None:
    async with rig(noting(), choice=NOTED, profile=NOTING) as one:
        await one.loop.hear(QUESTION)
        await one.loop.answer(QUESTION)
        await one.loop.finish("", interrupted=True)
        begun = len(one.of(Probe))
        await one.loop.answer("And Dan is smaller still.")
        assert len(one.of(Probe)) == begun
        thoughts = [text for name, text in one.engine.log if name == "thoughts"][-1]
        assert thoughts.endswith(FAMILY.prompts.notes_resume_open)
        assert FAMILY.prompts.work_open not in thoughts
        await one.loop.finish("It is Dan.")
        await one.loop.answer(QUESTION)
        await one.loop.take_back()
        await one.loop.answer(test_loop.QUESTION)
        assert isinstance(one.events[-1], TurnDone)
        assert FAMILY.prompts.work_open in [text for name, text in one.engine.log if name == "thoughts"][-1]


@pytest.mark.parametrize("context", range(100, 260, 20))
async def test_a_context_that_is_full_ends_the_choice_too(context: int) -> None:
    async with rig(noting(), choice=NOTED, profile=NOTING, context=context) as one:
        await one.loop.answer(QUESTION)
        assert one.said
        assert isinstance(one.events[-1], TurnDone)


def decided(
    choice: PolicyChoice, answers: Sequence[float], asked: str, script: Script, told: str = ""
) -> tuple[str | None, list[str]]:
    """Answer what the choice asks; give the name of what it chooses, and what it asked."""
    names: list[str] = []
    while isinstance(one := choice.decide(answers[: len(names)], asked, script, told=told, tools=False), ProbeQuestion):
        assert len(names) < len(answers), f"{one.name} is asked, too"
        names.append(one.name)
    assert len(one.log_odds) == len(names)
    return one.policy.name if one.policy else None, names


@pytest.mark.parametrize(
    ("choice", "need", "kind", "chosen", "asked"),
    [
        (NOTED, 0.5, 0.1, "sums", [KIND, NEED]),
        (NOTED, -0.5, 0.1, "plain", [KIND, NEED]),
        (NOTED, 0.5, FAMILY.prompts.kind_clear - 0.1, "sums", [KIND, NEED]),
        # What is clear is not asked about again, which the reply would have to wait for.
        (NOTED, 9.0, -0.1, None, [KIND]),
        (NOTED, -9.0, FAMILY.prompts.kind_clear + 0.1, "sums", [KIND]),
        (ByProbes(Sums()), 0.5, -9.0, "sums", [NEED]),
        (ByProbes(Sums()), -0.5, 9.0, None, [NEED]),
        (choice_of("plain"), 0.0, 0.0, "plain", []),
    ],
)
def test_what_the_questions_say_chooses(
    choice: PolicyChoice, need: float, kind: float, chosen: str | None, asked: list[str]
) -> None:
    said = {NEED: FAMILY.prompts.need_bias + need, KIND: FAMILY.prompts.kind_bias + kind}
    answers = [said[name] for name in asked]
    assert decided(choice, answers, "Who is it?", Script(Words(), FAMILY, profile=NOTING)) == (chosen, asked)


def test_a_model_that_gains_by_sums_alone_thinks_about_nothing_else() -> None:
    measured = Calibration("theirs", notes=False)
    script = Script(Words(), FAMILY, profile=ModelProfile("theirs", ("*",), calibration=measured))
    numbers, need, kind = FAMILY.prompts.need_of_numbers, FAMILY.prompts.need_bias, FAMILY.prompts.kind_bias
    clear = kind + FAMILY.prompts.kind_clear + 0.1 - numbers
    assert decided(NOTED, (), "Who is it?", script) == (None, [])
    assert decided(NOTED, (clear,), "What is 3 times 4?", script) == ("sums", [KIND])
    assert decided(NOTED, (clear + numbers,), "How many are left?", script, "I have 3 and eat 2.") == ("sums", [KIND])
    unclear = kind - numbers + 0.1
    assert decided(NOTED, (unclear, need - numbers - 0.1), "Is 3 before 4?", script) == (None, [KIND, NEED])
    assert decided(NOTED, (unclear, need - numbers + 0.1), "Is 3 before 4?", script) == ("sums", [KIND, NEED])


def test_a_model_that_somebody_else_measured_is_not_asked_for_the_kind() -> None:
    theirs = ModelProfile("theirs", ("*",), calibration=Calibration("theirs", "en", need_bias=0.5))
    assert decided(NOTED, (0.6,), "Who is it?", Script(Words(), FAMILY, profile=theirs)) == ("sums", [NEED])
    unknown = Script(Words(), FAMILY, profile=UNKNOWN)
    assert decided(NOTED, (), "Who is it?", unknown) == (None, [])
    assert decided(NOTED, (), QUESTION, unknown) == ("sums", [])


def test_the_setting_names_a_policy() -> None:
    assert choice_of(LoopOptions().policy).first.name == "sums"
    assert choice_of("plain").first == Plain()
    assert ENGLISH.prompts.notes_open


# --- the persona ---


@pytest.mark.parametrize("persona", ["x" * 2001, "Be\x00brief."])
def test_a_persona_that_is_no_short_text_is_refused(persona: str) -> None:
    with pytest.raises(ValueError, match="persona"):
        LoopOptions(persona=persona)
