"""An hour of four callers on the real models, who interrupt, cancel, call tools, send nonsense and come back.

`make soak` (`SOAK_MINUTES`: 60). Server and callers are one process. Every reply ends once: complete, and then with
words or a call, or cut, and then somebody had asked for it. A run of half an hour or more can tell the rest; a shorter
one, in which caches still fill, prints it. What must not grow is looked at every five seconds; the least of each
minute, which is what stays when little goes on, is fitted by a line over the time after the first sixth. Resident
memory may grow by 3 % in it, open files and tasks by 2, threads by 1; and the first content of the last sixth comes
within 1.1 times that of the first (95th percentiles).
"""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pytest

from languages.english import ENGLISH
from tests.e2e.stage.serving import say, served

if TYPE_CHECKING:
    from audio.clock import Sound
    from tests.agent.realtime.fakes import Client
    from tests.e2e.stage.serving import Served

MINUTES: Final = float(os.environ.get("SOAK_MINUTES") or 60)
pytestmark = [pytest.mark.e2e, pytest.mark.soak, pytest.mark.timeout(60 * MINUTES + 900)]

CALLERS: Final = 4
LOOK_S: Final = 5.0
LONG_ENOUGH: Final = 30
QUESTIONS: Final = (
    "What is twelve times seven?",
    "Hello, how are you?",
    "I buy four pens for two dollars each. How much?",
)
OVER: Final = "Wait, please. What is fifteen plus twenty seven?"
TOOL: Final = {
    "type": "function",
    "name": "get_weather",
    "description": "Get the weather of a city now.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
NONSENSE: Final[tuple[dict[str, object], ...]] = (
    {"type": "response.create", "response": {"instructions": 7}},
    {"type": "conversation.item.truncate", "item_id": "none", "content_index": 0, "audio_end_ms": -1},
    {"type": "input_audio_buffer.append", "audio": "not base64!"},
    {"type": "session.update", "session": {"audio": []}},
    {"type": "what.is.this"},
)
WAITS: Final = (*ENGLISH.replies.fillers, *ENGLISH.replies.statuses, ENGLISH.replies.elapsed.split("{}")[0])


@dataclass
class Soak:
    """What is going on, and what came of it."""

    one: Served
    sounds: dict[str, Sound]
    began_s: float = field(default_factory=time.monotonic)
    done: Counter[str] = field(default_factory=Counter)
    first_content: list[tuple[float, float]] = field(default_factory=list)
    """Second of the run, and seconds until the first content."""
    looks: list[tuple[float, float, float, float, float]] = field(default_factory=list)
    """Second of the run; resident MB, open files, tasks, threads."""

    @property
    def now_s(self) -> float:
        return time.monotonic() - self.began_s

    @property
    def over(self) -> bool:
        return self.now_s >= 60 * MINUTES

    async def look(self) -> None:
        """Look again and again at what must not grow."""
        while True:
            self.looks.append((self.now_s, *held(), len(asyncio.all_tasks()), threading.active_count()))
            await asyncio.sleep(LOOK_S)

    async def call(self, number: int) -> None:
        """Call again and again."""
        chance = random.Random(number)
        acts = (self.speak, self.write, self.interrupt, self.cancel, self.use_tool, self.send_nonsense)
        while not self.over:
            async with self.one.client() as client:
                await client.configure(tools=[TOOL], tool_choice="auto")
                cut = 0
                for _ in range(chance.randint(2, 5)):
                    act = chance.choice(acts)
                    await act(client, chance)
                    self.done[act.__name__] += 1
                    # Words that go on after a pause cut the reply to their beginning, too.
                    cut += {"interrupt": 2, "cancel": 1}.get(act.__name__, 0)
                self.check(client, cut)
            self.done["calls"] += 1

    def check(self, client: Client, cut: int) -> None:
        """Each reply that began has ended, once, and as it was to end; `cut` are as many as may have been cut."""
        begun = [event["response"]["id"] for event in client.of("response.created")]
        ended = [event["response"]["id"] for event in client.of("response.done")]
        assert sorted(begun) == sorted(ended)
        replies = [event["response"] for event in client.of("response.done")]
        statuses = Counter(reply["status"] for reply in replies)
        assert not statuses.keys() - {"completed", "cancelled"}, statuses
        assert statuses["cancelled"] <= cut, f"{statuses['cancelled']} replies were cut, {cut} at most were to be"
        assert all(reply["output"] for reply in replies if reply["status"] == "completed")
        self.done.update({f"replies {status}": count for status, count in statuses.items()})

    async def reply(self, client: Client, since_s: float) -> None:
        """Hear a reply to its end."""
        content = False
        while (event := await client.next())["type"] != "response.done":
            if event["type"] == "response.output_audio_transcript.delta" and not content:
                content = not event["delta"].strip().startswith(WAITS)
                if content:
                    self.first_content.append((self.now_s, time.monotonic() - since_s))

    async def write(self, client: Client, chance: random.Random) -> None:
        await client.write(chance.choice(QUESTIONS))
        await client.send("response.create")
        await self.reply(client, time.monotonic())

    async def speak(self, client: Client, chance: random.Random) -> None:
        await say(client, self.sounds[chance.choice(QUESTIONS)])
        await client.sound(0.0, 2.0)
        await self.reply(client, time.monotonic())

    async def interrupt(self, client: Client, chance: random.Random) -> None:
        await client.write(chance.choice(QUESTIONS))
        await client.send("response.create")
        await client.until("response.output_audio.delta")
        begun, ended = len(client.of("response.created")), len(client.of("response.done"))
        await say(client, self.sounds[OVER])
        await client.sound(0.0, 2.0)
        while len(client.of("response.created")) == begun or len(client.of("response.done")) < ended + 2:
            await client.next()

    async def cancel(self, client: Client, chance: random.Random) -> None:
        await client.write(chance.choice(QUESTIONS))
        await client.send("response.create")
        created = await client.until("response.created")
        await asyncio.sleep(chance.uniform(0.0, 2.0))
        await client.send("response.cancel", response_id=created["response"]["id"])
        await client.until("response.done")

    async def use_tool(self, client: Client, chance: random.Random) -> None:
        city = chance.choice(("Lisbon", "Oslo"))
        response = await client.ask(f"What is the weather in {city} right now?")
        calls = [item for item in response["output"] if item["type"] == "function_call"]
        for call in calls:
            output = {"type": "function_call_output", "call_id": call["call_id"], "output": "sunny, 31 degrees"}
            await client.send("conversation.item.create", item=output)
        if calls:
            self.done["functions called"] += 1
            await client.send("response.create")
            await client.until("response.done")

    async def send_nonsense(self, client: Client, chance: random.Random) -> None:
        event = chance.choice(NONSENSE)
        await client.send(str(event["type"]), **{key: value for key, value in event.items() if key != "type"})
        await client.until("error")


def held() -> tuple[float, int]:
    """Give this process's resident MB, and its open files."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 1e6, sum(1 for _ in Path("/proc/self/fd").iterdir())


def least_of_minutes(looks: np.ndarray) -> np.ndarray:
    """Give for each minute when it began, and the least of each thing in it."""
    minutes = (looks[:, 0] // 60).astype(int)
    return np.array([[60.0 * one, *looks[minutes == one, 1:].min(axis=0)] for one in np.unique(minutes)])


def growth(looks: np.ndarray, column: int) -> float:
    """Give how much a thing grew over the run, by a line through the least of each minute."""
    least = least_of_minutes(looks)
    if len(least) < 2:
        return 0.0
    slope = float(np.polyfit(least[:, 0], least[:, column], 1)[0])
    return slope * float(looks[-1, 0] - looks[0, 0])


async def test_an_hour_leaves_nothing_behind() -> None:
    async with served() as one:
        soak = Soak(one, {text: await one.spoken(text) for text in (*QUESTIONS, OVER)})
        looking = asyncio.create_task(soak.look())
        async with asyncio.TaskGroup() as group:
            for number in range(CALLERS):
                group.create_task(soak.call(number))
        looking.cancel()
    looks = np.array([look for look in soak.looks if look[0] >= 10 * MINUTES])
    print(f"\n{MINUTES:g} minutes, {CALLERS} callers: {dict(soak.done)}")
    bounds = (0.03 * float(looks[:, 1].mean()), 2.0, 2.0, 1.0)
    for column, (name, bound) in enumerate(zip(("MB", "open files", "tasks", "threads"), bounds, strict=True), 1):
        grown = growth(looks, column)
        print(f"{name}: {looks[:, column].mean():.1f}, grew by {grown:.1f}, bound {bound:.1f}")
        assert MINUTES < LONG_ENOUGH or grown <= bound, name
    sixth = 10 * MINUTES
    first = [took for at, took in soak.first_content if at < sixth]
    last = [took for at, took in soak.first_content if at >= 60 * MINUTES - sixth]
    p95 = [float(np.percentile(took, 95)) if took else float("nan") for took in (first, last)]
    counts = f"n = {len(first)} and {len(last)}"
    print(f"first content, 95th percentile: {p95[0]:.2f} s in the first sixth, {p95[1]:.2f} s in the last ({counts})")
    if MINUTES >= LONG_ENOUGH:
        assert p95[1] <= 1.1 * p95[0]
