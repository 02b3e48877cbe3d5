"""`descant bench server`: how many conversations one server holds at once, each answered in time.

Clients talk to a real server over loopback in real time: a spoken question, silence while the answer plays, the next
question. They begin one after the other, as people do, and their number is doubled until answers come too late.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from rich.console import Console
from rich.table import Table
from websockets.asyncio.client import connect

from agent.apps.loading import spinning
from agent.apps.progress import shown
from agent.models.assembly import open_models
from agent.realtime.protocol.fields import Pcm
from agent.realtime.protocol.pacing import PlayClock
from agent.realtime.server.keys import Keys
from agent.realtime.server.models import open_server_models
from agent.realtime.server.server import RealtimeServer
from agent.realtime.sound import Outgoing
from bench.plots import require
from bench.report import Report, Target
from bench.server import plot as server_plot
from bench.server.levels import IN_TIME_S, ServerAnswer, ServerLevel
from bench.statistics import percentile
from languages.english import ENGLISH

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from websockets.asyncio.client import ClientConnection

    from agent.config.invocation import Invocation
    from agent.realtime.adapter import ServerModels

QUESTIONS: Final = (
    "What is twelve times seven?",
    "A box holds six rows of four eggs. How many eggs are in it?",
    "How are you today?",
    "I have nine apples and eat two. How many are left?",
)
_RATE: Final = 24_000
_PIECE: Final = _RATE // 10
"""Samples in one append: 100 ms."""
_PATIENCE_S: Final = 40.0


@dataclass(frozen=True, slots=True)
class ServerBenchOptions:
    """What the command line asks for."""

    most: int
    turns: int
    json_file: Path | None
    plot: Path | None


def run(invocation: Invocation, overrides: Mapping[str, object], options: ServerBenchOptions) -> None:
    """Run the benchmark and tell its outcome."""
    settings = invocation.load(overrides).settings
    if options.plot:
        require()

    async def measured() -> list[ServerLevel]:
        async with open_models(settings, fetching=shown, shown=spinning) as models, open_server_models(models) as house:
            limits = replace(settings.server, max_sessions=options.most + 1, drain_s=1.0)
            keys = Keys(None, most=1)
            server = RealtimeServer(house, limits, keys, model=settings.models.llm, voice=settings.models.voice)
            async with server.listening("127.0.0.1", 0) as port:
                questions = await _spoken(house)
                return await _levels(f"ws://127.0.0.1:{port}/v1/realtime", questions, options)

    levels = asyncio.run(measured())
    largest = max((level.conversations for level in levels if level.in_time), default=0)
    results = {"largest_in_time": largest, "levels": [{**asdict(level), "p95_s": level.p95_s} for level in levels]}
    alone = levels[0]
    targets = [Target("first_audio_p95_s_alone", alone.p95_s, at_most=IN_TIME_S)]
    report = Report("server", settings.model_dump(mode="json") | {"turns": options.turns}, results, targets)
    console = Console()
    console.print(_table(levels))
    console.print(f"{largest} conversations at once are answered in time (p95 of first audio under {IN_TIME_S:g} s)")
    report.show_targets(console)
    if options.json_file is not None:
        report.write(options.json_file)
    if options.plot is not None:
        server_plot.draw(levels, options.plot)


async def _spoken(house: ServerModels) -> list[bytes]:
    outgoing = Outgoing(Pcm(type="audio/pcm"), house.synthesizer.rate)
    return [outgoing.convert((await house.synthesizer.synthesize(text)).samples) for text in QUESTIONS]


async def _levels(url: str, questions: Sequence[bytes], options: ServerBenchOptions) -> list[ServerLevel]:
    """Double the number until answers come too late, then halve the distance to the largest that is in time."""
    levels: list[ServerLevel] = []
    in_time, late, number = 0, options.most + 1, 1
    while in_time < number < late:
        level = await _held(url, questions, number, options.turns)
        levels.append(level)
        in_time, late = (number, late) if level.in_time else (in_time, number)
        number = min(2 * in_time, options.most) if late > options.most else (in_time + late) // 2
    return sorted(levels, key=lambda level: level.conversations)


async def _held(url: str, questions: Sequence[bytes], conversations: int, turns: int) -> ServerLevel:
    level = ServerLevel(conversations)
    async with asyncio.TaskGroup() as group:
        for number in range(conversations):
            group.create_task(_converse(url, questions, number, turns, level), name="conversation")
    level.memory_mb = _resident_mb()
    return level


async def _converse(url: str, questions: Sequence[bytes], number: int, turns: int, level: ServerLevel) -> None:
    await asyncio.sleep(number * 1.7)
    async with connect(url, max_size=None, compression=None) as socket:
        ears = _Listener(socket)
        listening = asyncio.create_task(ears.run(), name="listener")
        try:
            for turn in range(turns):
                ears.answer = ServerAnswer()
                level.answers.append(ears.answer)
                await _ask(socket, ears, questions[(number + turn) % len(questions)])
        finally:
            listening.cancel()
            await asyncio.wait([listening])


async def _ask(socket: ClientConnection, ears: _Listener, question: bytes) -> None:
    """Say a question in real time, then keep still until its answer has been played."""
    # Piper's clips end in a pause of their own; the question ends with its last loud sample.
    loud = np.flatnonzero(np.abs(np.frombuffer(question, "<i2").astype(np.int32)) > 300)
    spoken_s = (int(loud[-1]) + 1) / _RATE
    start = time.monotonic()
    ears.asked(start + spoken_s)
    sent = 0
    while not ears.finished and time.monotonic() < start + spoken_s + _PATIENCE_S:
        piece = question[2 * sent : 2 * (sent + _PIECE)].ljust(2 * _PIECE, b"\0")
        sent += _PIECE
        # A microphone gives sound when it is recorded, not sooner.
        await asyncio.sleep(max(0.0, start + sent / _RATE - time.monotonic()))
        event = {"type": "input_audio_buffer.append", "audio": base64.b64encode(piece).decode()}
        await socket.send(json.dumps(event))


class _Listener:
    """Takes a client's events and keeps account of what is heard when."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._spoken_until = 0.0
        self._playing = PlayClock()
        self._done = False
        self._saying = ""
        self.answer = ServerAnswer()

    def asked(self, spoken_until: float) -> None:
        """Take note when a question ends."""
        self._spoken_until, self._playing, self._done = spoken_until, PlayClock(), False

    @property
    def finished(self) -> bool:
        """Whether the answer has been played."""
        return self._done and self._playing.left_s(time.monotonic()) <= 0

    async def run(self) -> None:
        """Take events until cancelled."""
        async for message in self._socket:
            event: dict[str, Any] = json.loads(message)
            now = time.monotonic()
            match event["type"]:
                case "response.created":
                    self._done = False
                case "response.output_audio_transcript.delta":
                    self._saying = event["delta"].strip()
                case "response.output_audio.delta":
                    self._sounds(len(event["delta"]) * 3 / 4 / 2 / _RATE, now)
                case "response.done":
                    self._done = event["response"]["status"] != "cancelled"

    def _sounds(self, seconds: float, now: float) -> None:
        """Take sound, which plays as soon as what came before it has been played."""
        answer, starts = self.answer, max(now, self._playing.end_s) - self._spoken_until
        if answer.first_audio_s is None:
            answer.first_audio_s = starts
        elif self._playing.sent_s:
            answer.gap_s = max(answer.gap_s, now - self._playing.end_s)
        if answer.first_content_s is None and not ENGLISH.replies.fills(self._saying):
            answer.first_content_s = starts
        self._playing.send(seconds, now)


def _resident_mb() -> float:
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    return 0.0


def _table(levels: Sequence[ServerLevel]) -> Table:
    table = Table("at once", "answers", "first audio p50", "p95", "content p50", "gap p95", "memory", box=None)
    for level in levels:
        contents = [answer.first_content_s for answer in level.answers if answer.first_content_s is not None]
        gaps = [answer.gap_s for answer in level.answers]
        table.add_row(
            str(level.conversations),
            f"{len(level.times_s)}/{len(level.answers)}",
            *map(
                _seconds, (percentile(level.times_s, 50), level.p95_s, percentile(contents, 50), percentile(gaps, 95))
            ),
            f"{level.memory_mb:.0f} MB",
        )
    return table


def _seconds(value: float | None) -> str:
    return "—" if value is None else f"{value:.2f} s"
