"""A server without models: a mind that follows a script, ears that hear levels, a voice of square waves."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from agent.conversation.options import TurnOptions
from agent.costs.sharing import ServerAccount
from agent.realtime.adapter import ServerModels
from agent.realtime.hearing import SharedJudge, SharedRecogniser
from agent.realtime.reasoner import ReasonerConfig
from agent.realtime.robot import SharedRobot
from agent.realtime.server.keys import Keys
from agent.realtime.server.options import ServerOptions
from agent.realtime.server.server import RealtimeServer
from agent.realtime.voices import SessionVoices
from audio.clock import RATE, Pcm, Sound
from audio.hearing.agreement import Word
from audio.hearing.transcriber import Judge
from audio.hearing.vad import VoiceActivity
from audio.hearing.whisper import Hypothesis
from audio.options import EarsOptions, VoiceOptions
from audio.speaking.synthesizer import Synthesizer
from languages.english import ENGLISH
from reasoning.options import LoopOptions
from reasoning.prompting.script import Script, family_of
from tests.agent.realtime.openai_types import check
from tests.audio.hearing.test_vad import by_level
from tests.audio.speaking.test_synthesizer import Letters
from tests.reasoning.scripted_engine import END, Mind, ScriptedEngine, Words

FAMILY: Final = family_of("any")
QUESTION: Final = "What is 3 times 8?"
PRIVATE: Final = "zebra crossing"
THOUGHTS: Final = f"The {PRIVATE} is private.\nThe product of 3 and 8 is 24.\n"
SAID: Final = {0.9: QUESTION, 0.8: "And half of that?", 0.7: "", 0.6: "Enough!"}
"""What is said at each level of sound; the third is a cough."""


class LevelDecoder:
    """Hears the words that belong to a level of sound, one for each tenth of a second of it."""

    def __init__(self) -> None:
        self.expected: set[str] = set()
        """Sentences that it was to have in mind."""

    def decode(self, sound: Sound, *, final: bool, expected: str = "") -> Hypothesis:  # noqa: ARG002 - the same to it
        self.expected.add(expected)
        words: list[Word] = []
        for level, text in SAID.items():
            count = round(int((np.abs(sound - level) < 0.03).sum()) / RATE * 10)
            words += [Word(word, 0.9) for word in text.split()[:count]]
        return Hypothesis(tuple(words), -0.1, 0.0)

    def spot(self, sound: Sound) -> Hypothesis:
        return self.decode(sound, final=True)


class Halting(Letters):
    """A voice that says the first clause and waits with every other one until `may_go` is set: replies that last."""

    def speak(self, text: str) -> Pcm:
        said = super().speak(text)
        if text not in ENGLISH.replies.fillers:
            self.may_go.clear()
        return said


@dataclass
class Script24:
    """Writes by role; `replies` may look at the whole view."""

    thoughts: str = THOUGHTS + END
    at_once: Callable[[str], str] = lambda _: f"Hello to you.{END}"
    result: str = f"It is 24.{END}"
    small_talk: bool = False

    def score_choices(self, before: str) -> float:
        if FAMILY.prompts.need_question in before[-200:] or FAMILY.prompts.kind_question in before[-240:]:
            return -20.0 if self.small_talk else 20.0
        return 3.0 if "24" in before.rpartition(FAMILY.prompts.work_open)[2] else -3.0

    def write(self, before: str, name: str) -> str:
        last = before[-400:]
        if name.startswith("thoughts"):
            return self.thoughts
        if FAMILY.prompts.result_request in last:
            return self.result
        if FAMILY.prompts.step_request in last:
            return f"The product of 3 and 8 is 24.{END}"
        return self.at_once(before)


@dataclass
class FakeModels:
    script: Script24 = field(default_factory=Script24)
    loop: LoopOptions = field(default_factory=lambda: LoopOptions(filler_after_s=60, filler_again_s=60))
    voice: Letters = field(default_factory=Letters)
    robot: SharedRobot | None = None
    turns: TurnOptions = field(default_factory=TurnOptions)
    judge: Judge | None = None
    voices: SessionVoices | None = None
    decoder: LevelDecoder = field(default_factory=LevelDecoder)
    account: ServerAccount = field(default_factory=ServerAccount)
    engine: ScriptedEngine = field(init=False)

    def __post_init__(self) -> None:
        self.engine = ScriptedEngine(Mind(self.script.write, self.script.score_choices), Words())

    @asynccontextmanager
    async def open(self) -> AsyncIterator[ServerModels]:
        reasoning = ReasonerConfig(self.engine, Script(self.engine.tokenizer, FAMILY), self.loop, 100_000)
        async with Synthesizer(lambda: self.voice, VoiceOptions()) as synthesizer:
            fillers = [await synthesizer.synthesize(phrase) for phrase in ENGLISH.replies.fillers]
            self.voice.said.clear()
            yield ServerModels(
                reasoning,
                SharedRecogniser(self.decoder),
                synthesizer,
                tuple(fillers),
                EarsOptions(partial_every_ms=100),
                VoiceOptions(),
                self.turns,
                None if self.judge is None else SharedJudge(self.judge),
                lambda options: VoiceActivity(options, by_level),
                self.robot,
                self.voices,
                account=self.account,
            )


class Client:
    """A client that checks everything it gets."""

    def __init__(self, socket: ClientConnection, patience_s: float = 20) -> None:
        self.socket, self._patience_s = socket, patience_s
        self.events: list[dict[str, Any]] = []

    async def send(self, kind: str, **content: object) -> None:
        await self.socket.send(json.dumps({"type": kind, **content}))

    async def next(self) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(await asyncio.wait_for(self.socket.recv(), self._patience_s))
        check(event)
        self.events.append(event)
        return event

    async def until(self, kind: str) -> dict[str, Any]:
        while (event := await self.next())["type"] != kind:
            pass
        return event

    async def configure(self, **session: object) -> dict[str, Any]:
        await self.send("session.update", session={"type": "realtime", **session})
        return await self.until("session.updated")

    async def write(self, text: str) -> None:
        content = [{"type": "input_text", "text": text}]
        await self.send("conversation.item.create", item={"type": "message", "role": "user", "content": content})

    async def ask(self, text: str, **response: object) -> dict[str, Any]:
        await self.write(text)
        await self.send("response.create", **({"response": response} if response else {}))
        return (await self.until("response.done"))["response"]  # type: ignore[no-any-return]

    async def sound(self, level: float, seconds: float) -> None:
        pcm = np.full(round(24_000 * seconds), round(level * 32768), "<i2").tobytes()
        for start in range(0, len(pcm), 9600):
            await self.send("input_audio_buffer.append", audio=base64.b64encode(pcm[start : start + 9600]).decode())

    async def close_code(self) -> int | None:
        """Read until the server closes; give its code."""
        with suppress(ConnectionClosed):
            while True:
                await self.next()
        return self.socket.close_code

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == kind]

    @property
    def types(self) -> list[str]:
        return [event["type"] for event in self.events]


@dataclass
class Served:
    server: RealtimeServer
    port: int
    models: FakeModels

    def url(self, query: str = "model=any") -> str:
        return f"ws://127.0.0.1:{self.port}/v1/realtime?{query}"

    @asynccontextmanager
    async def client(self, query: str = "model=any", key: str | None = None) -> AsyncIterator[Client]:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        # With a bounded queue a client that has stopped reading would wait for its own close to be answered.
        async with connect(
            self.url(query), additional_headers=headers, max_size=None, max_queue=None, compression=None
        ) as socket:
            client = Client(socket)
            await client.until("session.created")
            yield client


@asynccontextmanager
async def served(
    models: FakeModels | None = None, options: ServerOptions | None = None, key: str | None = None
) -> AsyncIterator[Served]:
    models, options = models or FakeModels(), options or ServerOptions(drain_s=1.0)
    async with models.open() as opened:
        server = RealtimeServer(opened, options, Keys(key, most=10), model="smollm2-135m", voice="joe")
        async with server.listening("127.0.0.1", 0) as port:
            yield Served(server, port, models)


def transcript(events: Sequence[dict[str, Any]]) -> str:
    return "".join(event["delta"] for event in events if event["type"].endswith(("transcript.delta", "text.delta")))
