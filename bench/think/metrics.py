"""What one conversation was worth and how it felt, from its timeline. Reads no clock; knows no modes.

All times are seconds after the last sample of what the user said last, and only what is heard after it counts. The
delay figures follow the evaluation code published with arXiv 2512.10931 (chunks of five tokens, synthesis in
parallel); docs/bench.md gives every definition.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from agent.conversation import timeline
from bench.think.scoring import right, stated
from reasoning.policies.grounding import ungrounded

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.think.items.question import TaskQuestion
    from bench.virtual.simulation import Record, StreamPace, WrittenReply
    from bench.virtual.timed import Pace

_CHUNK: Final = 5
"""Tokens that are synthesised together in the published figures."""
_PATIENCE_S: Final = 1.0
_PATIENCE_STEPS: Final = 10
_ENDED: Final = re.compile(r"[.!?:)\]}*%\d]\s*$")
"""Thoughts that end otherwise were cut off."""
_CLAIM: Final = re.compile(r"\b(?:answer|final|conclusion)\b|\bresult\b(?! of\b)", re.IGNORECASE)
"""Calls something the answer; the result of a step is none."""


@dataclass(slots=True)
class Sample:
    """One item in one row of the benchmark."""

    row: str
    task: str
    number: int
    question: str
    """All that the user said."""
    answer: str
    scenario: str = ""
    """What the user did beside asking; empty for a plain question."""
    spoken: str = ""
    """What was heard, fillers left out."""
    thoughts: str = ""
    stated: str | None = None
    """The last result that was spoken."""
    thought: str | None = None
    """The last result of the thoughts, when they came to their end."""
    right: bool = False
    first_sound_s: float | None = None
    first_content_s: float | None = None
    """Until the first clause begins that holds a number or name which is not in the question, or the answer."""
    final_correct_s: float | None = None
    """Until the clause has been heard from which on the stated result is right to the end."""
    longest_silence_s: float = 0.0
    """Between two sounds of the reply, fillers being sounds."""
    waited_s: float | None = None
    """All that the listener waited: until the reply itself began to sound, and where it paused; fillers end no wait."""
    reply_end_s: float | None = None
    delay_to_first_s: float | None = None
    total_delay_s: float | None = None
    adjusted_delay_s: float | None = None
    duration_s: float | None = None
    """Seconds of speech without its delays."""
    steps_to_first: int | None = None
    delay_steps: int | None = None
    delay_minus10_steps: int | None = None
    words: int = 0
    """Words heard, fillers left out."""
    words_until_answer: int | None = None
    """Words heard until the last stated result stands for the first time and is not revised any more."""
    tokens_to_answer: int | None = None
    """Tokens of all streams from the user's last word until the sentence that states the right answer for good."""
    interrupted: bool = False
    """Whether the user's words cut a reply short."""
    before: str = ""
    """What was heard before the user's last word, cut off where it was."""
    fillers: int = 0
    """Fillers heard."""
    unsaid_words: int = 0
    """Words of sentences that were taken back before they were heard."""
    revised_words: int = 0
    """Words of heard sentences that called something the answer which was not the last one."""
    contradicts: bool = False
    """The spoken result is not that of the thoughts, or a heard claim of the answer was revised."""
    repaired: bool = False
    """It was, and the last stated result is that of the thoughts."""
    tokens: dict[str, int] = field(default_factory=dict)
    """Tokens spent by each stream."""
    joules: float | None = None
    """An estimate: what cores draw while the language model's steps are computed; None on a GPU, and in old files."""
    paces: dict[str, StreamPace] = field(default_factory=dict)
    """How quickly thinker and writer wrote."""
    reason: str = ""
    """What ended the reply."""
    timeline: list[tuple[float, str, str]] = field(default_factory=list)
    """What was heard: second, kind, text."""
    probes: list[tuple[float, str, float, float, bool]] = field(default_factory=list)
    """What was weighed: second, question, log-odds, threshold, decision."""
    unsaid: list[tuple[str, str]] = field(default_factory=list)
    """What was taken back before it was heard: text, reason."""


def measure(row: str, item: TaskQuestion, record: Record, pace: Pace, decode: Callable[[Sequence[int]], str]) -> Sample:
    """Measure one conversation."""
    sample = Sample(row, item.task, item.number, item.question, item.answer, paces=record.paces)
    events = [entry.event for entry in record.entries]
    zero_ms = max((event.last_sample_ms for event in events if isinstance(event, timeline.SpeechStopped)), default=0.0)
    sounds = sorted((event for event in events if isinstance(event, timeline.AudioOut)), key=lambda out: out.start_ms)
    pieces = [out for out in sounds if out.start_ms >= zero_ms]
    sample.interrupted = any(isinstance(event, timeline.Interrupted) for event in events)
    sample.before = _before(events, zero_ms)
    sample.thoughts = "".join(event.text for event in events if isinstance(event, timeline.Thought))
    sample.unsaid = [(event.text, event.reason) for event in events if isinstance(event, timeline.Retracted)]
    sample.unsaid_words = sum(len(text.split()) for text, _ in sample.unsaid)
    sample.probes = [
        ((entry.t_ms - zero_ms) / 1000, probe.question, probe.log_odds, probe.threshold, probe.decision)
        for entry in record.entries
        if isinstance(probe := entry.event, timeline.Probe)
    ]
    sample.timeline = [((out.start_ms - zero_ms) / 1000, out.kind, out.text) for out in pieces]
    for event in events:
        if isinstance(event, timeline.TurnDone):
            sample.tokens, sample.reason = dict(event.tokens), event.reason
    _sounds(sample, pieces, zero_ms)
    _content(sample, item, [out for out in pieces if out.kind == "content"], zero_ms)
    ended = any(isinstance(event, timeline.StateChanged) and event.name == "writing" for event in events)
    _agreement(sample, item, concluded=ended and bool(_ENDED.search(sample.thoughts)))
    _delays(sample, record, pace, zero_ms / 1000, decode)
    _tokens(sample, record, zero_ms)
    return sample


def _before(events: Sequence[timeline.Event], zero_ms: float) -> str:
    """Give what was heard of replies before the user's last word."""
    over: list[str] = []
    reply: list[str] = []
    for event in events:
        match event:
            case timeline.AudioOut(kind="content") if event.start_ms < zero_ms:
                reply.append(event.text.strip())
            case timeline.TurnEnded():
                over, reply = [*over, *reply], []
            case timeline.Interrupted(heard):
                over, reply = [*over, heard.strip()], []
    return " ".join(filter(None, [*over, *reply]))


def _sounds(sample: Sample, pieces: Sequence[timeline.AudioOut], zero_ms: float) -> None:
    if not pieces:
        return
    sample.fillers = sum(out.kind != "content" for out in pieces)
    sample.first_sound_s = (pieces[0].start_ms - zero_ms) / 1000
    sample.reply_end_s = (max(out.end_ms for out in pieces) - zero_ms) / 1000
    gaps = [(later.start_ms - sooner.end_ms) / 1000 for sooner, later in pairwise(pieces)]
    sample.longest_silence_s = max(0.0, *gaps) if gaps else 0.0


def _content(sample: Sample, item: TaskQuestion, pieces: Sequence[timeline.AudioOut], zero_ms: float) -> None:
    sample.spoken = " ".join(out.text.strip() for out in pieces)
    sample.words = len(sample.spoken.split())
    sample.stated = stated(sample.spoken, item)
    sample.right = right(sample.spoken, item)
    sounds = [(zero_ms, zero_ms), *((out.start_ms, out.end_ms) for out in pieces)]
    if pieces:
        sample.waited_s = sum(max(0.0, later[0] - sooner[1]) for sooner, later in pairwise(sounds)) / 1000
    for out in pieces:
        if _tells(out.text, item):
            sample.first_content_s = (out.start_ms - zero_ms) / 1000
            break
    standing = _standing(pieces, item, sample.stated)
    if standing is not None:
        sample.words_until_answer = len(" ".join(out.text for out in pieces[: standing + 1]).split())
        if sample.right:
            sample.final_correct_s = (pieces[standing].end_ms - zero_ms) / 1000


def _tells(text: str, item: TaskQuestion) -> bool:
    """Say whether a piece of the reply tells something that the question does not."""
    match item.kind:
        case "manner":
            return bool(text.strip())
        case "claim":
            return stated(text, item) is not None
        case "option":
            # All of them stand in the question: what is new is what is no part of a sentence there.
            asked = [_plain(sentence) for sentence in re.split(r"[.:?!]", item.question)]
            return stated(text, item) is not None and not any(_plain(text) in one for one in asked)
        case _:
            return bool(ungrounded(text, item.question)) or right(text, item)


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


def _standing(pieces: Sequence[timeline.AudioOut], item: TaskQuestion, result: str | None) -> int | None:
    """Give the number of the piece from which on the stated result is the last one."""
    if result is None:
        return None
    first = len(pieces) - 1
    while first > 0:
        text = " ".join(out.text.strip() for out in pieces[:first])
        if stated(text, item) != result:
            break
        first -= 1
    return first


def _agreement(sample: Sample, item: TaskQuestion, *, concluded: bool) -> None:
    """Compare what was said with the final thoughts, and with itself; thoughts that were cut off state nothing."""
    if concluded and sample.thoughts.strip():
        sample.thought = stated(sample.thoughts, item)
    for sentence in re.split(r"(?<=[.!?])\s+", sample.spoken):
        claim = stated(sentence, item) if _CLAIM.search(sentence) else None
        if claim is not None and claim != sample.stated:
            sample.revised_words += len(sentence.split())
    differs = None not in (sample.thought, sample.stated) and sample.thought != sample.stated
    sample.contradicts = differs or sample.revised_words > 0
    sample.repaired = sample.contradicts and not differs


def _tokens(sample: Sample, record: Record, zero_ms: float) -> None:
    """Count what was spent until the sentence was released whose sound makes the answer stand."""
    if sample.final_correct_s is None:
        return
    heard_ms = sample.final_correct_s * 1000 + zero_ms
    piece = next(entry.event for entry in record.entries
                 if isinstance(entry.event, timeline.AudioOut) and abs(entry.event.end_ms - heard_ms) < 1)  # fmt: skip
    released = [entry.t_ms for entry in record.entries
                if isinstance(entry.event, timeline.ReplyText) and piece.text.strip() in entry.event.text
                and zero_ms <= entry.t_ms <= piece.start_ms]  # fmt: skip
    until = max(released, default=piece.start_ms) / 1000
    sample.tokens_to_answer = sum(count for at, count in record.spent if zero_ms / 1000 <= at <= until)


def _delays(sample: Sample, record: Record, pace: Pace, zero_s: float, decode: Callable[[Sequence[int]], str]) -> None:
    tokens = record.written
    if not tokens:
        return
    chunks = [tokens[at : at + _CHUNK] for at in range(0, len(tokens), _CHUNK)]
    end = delay = adjusted = 0.0
    for number, chunk in enumerate(chunks):
        text = decode([token.id for token in chunk])
        ready = chunk[-1].at_s - zero_s + pace.synthesis(text)
        waited = max(end, ready) - end
        if not number:
            sample.delay_to_first_s = waited
        delay += waited
        adjusted += max(waited - _PATIENCE_S, 0.0)
        end = max(end, ready) + pace.sound_letters(text)
    sample.total_delay_s, sample.adjusted_delay_s, sample.duration_s = delay, adjusted, end - delay
    _steps(sample, tokens, record.first_step)


def _steps(sample: Sample, tokens: Sequence[WrittenReply], first_step: int) -> None:
    steps = [token.step - first_step for token in tokens]
    sample.steps_to_first = steps[0]
    sample.delay_steps = 1 + steps[-1] - len(steps)
    sample.delay_minus10_steps = sum(max(now - last - _PATIENCE_STEPS, 0) for last, now in pairwise([0, *steps]))
