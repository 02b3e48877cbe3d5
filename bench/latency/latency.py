"""Spoken exchanges through the whole live path, in real time, and what they measure.

    virtual user ─► Room (a sound card with echo and noise) ─► agent.apps.desktop, unchanged ─► Room ─► what was heard

All times are taken on the room's axis of samples, from what was really said and played; the stages between come from
the timeline. Knows the order of an exchange; knows no table and no file.
"""

from __future__ import annotations

import asyncio
import gc
import os
import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from agent.apps.desktop import Controls, LiveTalk
from agent.conversation import timeline
from agent.costs.ledger import PowerModel, spent
from agent.costs.meters import MachineMeters
from agent.models.assembly import load_speech, open_speech
from audio.clock import RATE
from audio.hearing.agreement import edits, key
from audio.io.devices import SoundCard
from audio.io.echo import OwnVoice
from bench.latency.room import Room

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from agent.config.settings import Settings
    from agent.models.registry import Files
    from audio.clock import Sound
    from bench.latency.dialogues import SpokenDialogue
    from reasoning.engine.torch_engine import TorchEngine
    from reasoning.prompting.script import Script

_LEAD_S: Final = 0.6
"""Silence before the user's first word: the agent gets ready."""
_OVER_AFTER_S: Final = 1.3
"""Seconds of reply after which something sounds over it. In the first second of a conversation's first reply the
microphone is closed (`devices.warmup_ms`), and here each reply is the first one."""
_OVER_IN_S: Final = 0.3
_OVER_LEFT_S: Final = 0.6
"""Seconds of a clause that have sounded by then, and that are left: it is the agent's silence that is measured."""
_ENOUGH_S: Final = 1.5
"""Seconds of content after which a reply was heard far enough."""
_REACTION_S: Final = 1.5
"""Seconds after the last sound over a reply in which the agent must have done what it does about it."""
_AFTER_S: Final = 0.8
"""Silence after a reply until it counts as over."""
_BEGUN_S: Final = 2.5
"""Seconds after the end of the turn in which a reply that is complete has begun to sound."""
_MOST_S: Final = 25.0
"""Seconds that a reply may take; then the exchange is ended."""
_MISSED_S: Final = 4.0
"""Seconds after the last word in which the turn must end."""
_AUDIBLE: Final = 0.003
"""Level of a sample that is heard: -50 dB."""
_LOOK_S: Final = 0.005
_SILENT_S: Final = 0.35
"""Silence this long is no pause between two clauses."""


@dataclass(slots=True)
class SpokenExchange:
    """What one exchange came to. Times in s; None where there was nothing to measure."""

    kind: str
    detail: str
    text: str
    heard: str = ""
    """The transcript of the question."""
    first_sound_s: float | None = None
    """Last sample of the question to the first audible sample."""
    first_content_s: float | None = None
    """The same to the first sample that is no filler."""
    end_of_turn_s: float | None = None
    """The same to the decision that the turn is over."""
    recognised_s: float | None = None
    """The same to the last transcript."""
    first_sentence_s: float | None = None
    """The same to the first sentence that was released for speech; below the turn's end when it was preemptive."""
    voice_s: float | None = None
    """From that sentence and the end of the turn to its first sample: synthesis and playout."""
    silent_s: float | None = None
    """First sample over the reply to silence, for a barge-in."""
    cut_off: bool = False
    """The turn was ended while the user was not done."""
    missed: bool = False
    """The turn was not ended in time."""
    over_heard: str = ""
    """The transcript of what sounded over the reply."""
    wrongly_stopped: bool = False
    """The reply was given up for a cough or a sign of listening."""
    not_stopped: bool = False
    """The reply was not given up for words."""
    self_interruptions: int = 0
    """Replies given up, or paused, while the user said nothing."""
    spoken_s: float = 0.0
    """Sound of the agent."""
    underruns: int = 0
    words: int = 0
    word_errors: int = 0
    memory_mb: float | None = None
    """Resident, after the exchange."""
    cpu_s: float | None = None
    """Seconds of processor that the process took for it, ears, voice and the virtual user with it."""
    joules: float | None = None
    joules_measured: bool = False
    """Else they are estimated by `costs.watts_a_core`."""
    held_s: float | None = None
    """The longest time that something held the event loop, which feeds the loudspeaker, and that the system did."""


@dataclass(slots=True)
class _Watch:
    """A screen that remembers."""

    entries: list[timeline.TimelineEntry] = field(default_factory=list)

    def show(self, t_ms: float, event: timeline.Event) -> None:
        self.entries.append(timeline.TimelineEntry(t_ms, event))

    def level(self, microphone: float, loudspeaker: float) -> None:
        pass

    def notice(self, text: str) -> None:
        pass

    def of(self, *kinds: type[timeline.Event]) -> list[timeline.TimelineEntry]:
        return [entry for entry in self.entries if isinstance(entry.event, kinds)]


class LatencyStage:
    """Where exchanges take place: models that are loaded once, a room for each exchange."""

    def __init__(self, settings: Settings, files: Files, engine: TorchEngine, script: Script) -> None:
        self._settings, self._engine, self._script = settings, engine, script
        self._speech = load_speech(files, settings)
        self._meters = MachineMeters()
        self.entries: list[timeline.TimelineEntry] = []
        """Timeline of the newest exchange."""

    async def exchange(self, dialogue: SpokenDialogue) -> SpokenExchange:
        """Hold one exchange, in real time."""
        # A conversation is a knot of objects; what the last one left would count as growth until Python finds it.
        gc.collect()
        before = self._meters.read()
        room, watch, controls = Room(noise=dialogue.noise), _Watch(), Controls()
        card = SoundCard(self._settings.devices, lambda _: None, room)
        voice = OwnVoice()
        speech = open_speech(self._speech, self._settings, self._engine, own=voice.own)
        async with speech as (ears, synthesizer), card:
            talk = LiveTalk(self._settings, watch, controls, voice=voice)
            async with asyncio.TaskGroup() as group:
                running = group.create_task(talk.run(card, ears, synthesizer, self._engine, self._script))
                holding = group.create_task(longest_hold(running))
                asked = await self._user(dialogue, room, watch, talk)
                # Before the end of the exchange cuts the reply: that is no interruption.
                self.entries = list(watch.entries)
                controls.ended.set()
                await running
        found = measure(dialogue, room, self.entries, asked, underruns=card.counters.underruns)
        found.held_s = holding.result()
        cost = spent(before, self._meters.read(), PowerModel(self._settings.costs.watts_a_core))
        found.cpu_s, found.joules, found.joules_measured = cost.cpu_s, cost.joules, cost.measured
        return found

    async def _user(
        self, dialogue: SpokenDialogue, room: Room, watch: _Watch, talk: LiveTalk
    ) -> tuple[int, int | None]:
        """Play the user; give where on the axis the question began, and what sounded over the reply."""
        await _until(lambda: talk.now_s >= _LEAD_S)
        asked, over = room.say(dialogue.sound), None
        end = asked + len(dialogue.sound)
        with suppress(TimeoutError):
            async with asyncio.timeout(_MOST_S + len(dialogue.sound) / RATE):
                await _until(lambda: not room.talking and bool(watch.of(timeline.TurnEnded)))
                if dialogue.over is None:
                    await _until(lambda: _enough(room, watch) or _over(room, watch))
                else:
                    await _until(lambda: _amid(room, watch, end) or _over(room, watch))
                    over = room.say(dialogue.over)
                    await _until(lambda: not room.talking)
                    await asyncio.sleep(_REACTION_S)
                    if dialogue.heard_out:
                        await _until(lambda: len(watch.of(timeline.TurnEnded)) > 1 and _over(room, watch))
        return asked, over


async def longest_hold(during: asyncio.Future[None]) -> float:
    """Give the longest time, in s, by which the event loop was late for a timer while something ran."""
    loop, most = asyncio.get_running_loop(), 0.0
    while not during.done():
        due = loop.time() + _LOOK_S
        await asyncio.sleep(_LOOK_S)
        most = max(most, loop.time() - due)
    return most


async def _until(done: Callable[[], bool]) -> None:
    while not done():  # noqa: ASYNC110 - the room has a thread, and tells nobody
        await asyncio.sleep(0.02)


def _amid(room: Room, watch: _Watch, since: int) -> bool:
    """Say whether a reply that has sounded for long enough is in the middle of a clause."""
    clauses = _clauses(watch)
    if not clauses or _sounding_s(room, since) <= _OVER_AFTER_S:
        return False
    now_s = room.now / RATE
    return now_s - clauses[-1].start_ms / 1000 > _OVER_IN_S and clauses[-1].end_ms / 1000 - now_s > _OVER_LEFT_S


def _sounding_s(room: Room, since: int) -> float:
    blocks = room.played[since * len(room.played) // max(1, room.now) :]
    return sum(len(block) for block in blocks if np.abs(block).max() > _AUDIBLE) / RATE


def _enough(room: Room, watch: _Watch) -> bool:
    """Say whether so much of the reply was heard that the rest changes no figure."""
    content = [clause for clause in _clauses(watch) if clause.kind == "content"]
    return bool(content) and room.now / RATE - content[0].start_ms / 1000 > _ENOUGH_S


def _clauses(watch: _Watch) -> list[timeline.AudioOut]:
    return [entry.event for entry in watch.entries if isinstance(entry.event, timeline.AudioOut)]


def _over(room: Room, watch: _Watch) -> bool:
    """Say whether the reply has sounded to its end."""
    ended, done = watch.of(timeline.TurnEnded), watch.of(timeline.TurnDone)
    if not ended or not done or done[-1].t_ms < ended[-1].t_ms - 3000:
        return False
    if room.now / RATE - ended[-1].t_ms / 1000 < _BEGUN_S:
        # A reply that was made preemptively may be complete before it begins to sound.
        return False
    blocks = room.played[-round(_AFTER_S * 100) :]
    return not any(np.abs(block).max() > _AUDIBLE for block in blocks)


def measure(
    dialogue: SpokenDialogue,
    room: Room,
    entries: Sequence[timeline.TimelineEntry],
    asked: tuple[int, int | None],
    *,
    underruns: int,
) -> SpokenExchange:
    """Make figures of what was said, played and told."""
    played = np.concatenate(room.played)
    begin, over = asked
    last = begin + int(np.flatnonzero(np.abs(dialogue.sound) > _AUDIBLE)[-1])
    found = SpokenExchange(dialogue.kind, dialogue.detail, dialogue.text, underruns=underruns, memory_mb=resident_mb())
    ended = [entry for entry in entries if isinstance(entry.event, timeline.TurnEnded)]
    until = len(played) if over is None else over
    first = np.flatnonzero(np.abs(played[begin:until]) > _AUDIBLE)
    found.first_sound_s = (begin + int(first[0]) - last) / RATE if len(first) else None
    found.spoken_s = sum(len(block) for block in room.played if np.abs(block).max(initial=0) > _AUDIBLE) / RATE
    mine = [entry for entry in ended if over is None or entry.t_ms * RATE / 1000 < over]
    found.heard = _joined(entry.event.text for entry in mine if isinstance(entry.event, timeline.TurnEnded))
    found.cut_off = any(entry.t_ms * RATE / 1000 < last for entry in mine) or len(mine) > 1
    found.missed = not any(entry.t_ms / 1000 - last / RATE < _MISSED_S for entry in mine)
    if mine:
        _stages(found, entries, mine[-1], last / RATE)
        found.words, found.word_errors = word_errors(dialogue.text, found.heard)
    _overlap(found, dialogue, entries, played, asked)
    return found


def _stages(
    found: SpokenExchange, entries: Sequence[timeline.TimelineEntry], ended: timeline.TimelineEntry, last_s: float
) -> None:
    found.end_of_turn_s = ended.t_ms / 1000 - last_s
    words = [entry for entry in entries if isinstance(entry.event, timeline.WordsHeard) and entry.t_ms <= ended.t_ms]
    changed = [entry for before, entry in zip([None, *words], words, strict=False) if _text(before) != _text(entry)]
    found.recognised_s = changed[-1].t_ms / 1000 - last_s if changed else None
    texts = [entry.t_ms / 1000 for entry in entries if isinstance(entry.event, timeline.ReplyText)]
    sounds = [
        entry.event.start_ms / 1000
        for entry in entries
        if isinstance(entry.event, timeline.AudioOut) and entry.event.kind == "content"
    ]
    after = [start for start in sounds if start > last_s]
    if after:
        found.first_content_s = after[0] - last_s
        # What was taken back does not count: the sentence that is heard first came last before it.
        told = max((text for text in texts if text <= after[0]), default=None)
        if told is not None:
            found.first_sentence_s = told - last_s
            found.voice_s = after[0] - max(told, ended.t_ms / 1000)


def _joined(turns: Iterable[str]) -> str:
    """Give all that was heard: a turn that was cut off may be told again with its rest."""
    heard = ""
    for text in turns:
        heard = text if text.startswith(heard) else f"{heard} {text}"
    return heard


def _text(entry: timeline.TimelineEntry | None) -> str:
    return entry.event.committed if entry is not None and isinstance(entry.event, timeline.WordsHeard) else ""


def _overlap(
    found: SpokenExchange,
    dialogue: SpokenDialogue,
    entries: Sequence[timeline.TimelineEntry],
    played: Sound,
    asked: tuple[int, int | None],
) -> None:
    """Look at what became of the reply while something sounded over it, and while nothing did."""
    begin, over = asked
    length = 0 if dialogue.over is None else len(dialogue.over)
    asking = range(begin, begin + len(dialogue.sound) + RATE // 2)
    stops = [entry.t_ms * RATE / 1000 for entry in entries if isinstance(entry.event, timeline.Interrupted)]
    pauses = [entry.t_ms * RATE / 1000 for entry in entries if isinstance(entry.event, timeline.Paused)]
    meant = range(0) if over is None else range(over, over + length + 2 * RATE)
    found.self_interruptions = sum(int(at) not in meant and int(at) not in asking for at in (*stops, *pauses))
    if over is None or dialogue.over is None:
        return
    stopped = any(int(at) in meant for at in stops)
    words = [entry.event for entry in entries if int(entry.t_ms * RATE / 1000) in meant]
    found.over_heard = next(
        (f"{w.committed} {w.tentative}".strip() for w in words[::-1] if isinstance(w, timeline.WordsHeard)), ""
    )
    onset = over + int(np.flatnonzero(np.abs(dialogue.over) > _AUDIBLE)[0])
    was_sounding = bool(np.any(np.abs(played[onset - RATE // 4 : onset]) > _AUDIBLE))
    if dialogue.kind == "barge-in":
        found.not_stopped = was_sounding and not stopped
        found.silent_s = silent_after(played, onset) if was_sounding else None
    else:
        found.wrongly_stopped = stopped


def silent_after(played: Sound, begin: int) -> float | None:
    """Give the seconds from sample `begin` until nothing is heard for longer than between two clauses."""
    loud = np.flatnonzero(np.abs(played[begin:]) > _AUDIBLE)
    if not len(loud):
        return 0.0
    gaps = np.flatnonzero(np.diff(loud, append=loud[-1] + RATE) > _SILENT_S * RATE)
    return float(loud[gaps[0]]) / RATE


def word_errors(said: str, heard: str) -> tuple[int, int]:
    """Count the words that were said, and the edits to what was heard; numbers in words or figures are the same."""
    one, other = _words(said), _words(heard)
    return len(one), edits(one, other)


def _words(text: str) -> list[str]:
    from num2words import num2words  # noqa: PLC0415 - for this only

    words: list[str] = []
    for word in re.sub(r"\$(\d+)", r"\1 dollars", text.replace("-", " ")).split():
        bare = key(word)
        words += num2words(int(bare)).replace("-", " ").split() if bare.isdigit() else [bare]
    return [word for word in words if word not in {"", "um", "uh"}]


def resident_mb() -> float | None:
    """Give the memory of this process that is in use, where the system tells."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return None
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
