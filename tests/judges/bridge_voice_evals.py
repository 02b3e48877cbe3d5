"""The judge's ear and mouth for voice-evals: its own default protocol on one side, Realtime on the other.

    voice-eval probe scenario.json --transport ws://127.0.0.1:PORT --protocol-map voice_evals/protocol.json

The judge sends an utterance and then nothing, as no microphone does, and wants sound as a listener hears it: so silence
is sent between its utterances, and what the server sends ahead of time is played at its pace, dropped where the server
hears the caller speak. Nothing here measures or decides anything.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import soxr
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from websockets.asyncio.client import ClientConnection
    from websockets.asyncio.server import ServerConnection

CALLER_RATE: Final = 16_000
"""The judge takes callers at no other rate."""
RATE: Final = 24_000
FRAME_S: Final = 0.02
FRAME: Final = 2 * round(RATE * FRAME_S)
"""Bytes of one frame of the wire."""


@dataclass
class Call:
    """One call: `judge` calls, `agent` answers."""

    judge: ServerConnection
    agent: ClientConnection
    said: deque[bytes] = field(default_factory=deque)
    """Frames of the caller that wait for their time."""
    playing: deque[tuple[str, bytes]] = field(default_factory=deque)
    """Frames of replies that wait to be heard, each with its response."""
    over: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Ends of responses whose sound is still to be heard."""
    heard: list[str] = field(default_factory=list)
    """Transcripts of the utterance at hand."""
    utterance: str = ""

    async def take(self) -> None:
        """Take what the judge sends."""
        async for text in self.judge:
            event = json.loads(text)
            match event["type"]:
                case "input_audio":
                    if event["utterance_id"] != self.utterance:
                        self.utterance = event["utterance_id"]
                        self.heard.clear()
                    self.said.append(base64.b64decode(event["audio"]))

    async def pace(self) -> None:
        """Let time pass for both: a frame each way."""
        at, resampled = time.monotonic(), soxr.ResampleStream(CALLER_RATE, RATE, 1, dtype="int16")
        silence = bytes(2 * round(CALLER_RATE * FRAME_S))
        while True:
            said = self.said.popleft() if self.said else silence
            frame = resampled.resample_chunk(np.frombuffer(said, np.int16)).tobytes()
            await self.agent.send(
                json.dumps({"type": "input_audio_buffer.append", "audio": base64.b64encode(frame).decode()})
            )
            if self.playing:
                response, sound = self.playing.popleft()
                audio = base64.b64encode(sound).decode()
                await self.tell({"type": "output_audio", "response_id": response, "audio": audio})
            waiting = {response for response, _ in self.playing}
            for response in [one for one in self.over if one not in waiting]:
                await self.tell(self.over.pop(response))
            at += FRAME_S
            await asyncio.sleep(max(0.0, at - time.monotonic()))

    async def hear(self) -> None:
        """Take what the agent sends."""
        async for text in self.agent:
            event = json.loads(text)
            match event["type"]:
                case "session.updated":
                    await self.tell({"type": "session_ready"})
                case "input_audio_buffer.speech_started":
                    self.playing.clear()
                case "conversation.item.input_audio_transcription.completed":
                    self.heard.append(event["transcript"])
                case "response.created":
                    said = " ".join(self.heard)
                    await self.tell({"type": "input_transcript_final", "text": said, "utterance_id": self.utterance})
                    await self.tell({"type": "response_start", "response_id": event["response"]["id"]})
                case "response.output_audio.delta":
                    sound = base64.b64decode(event["delta"])
                    frames = (sound[start : start + FRAME] for start in range(0, len(sound), FRAME))
                    self.playing.extend((event["response_id"], frame) for frame in frames)
                case "response.output_audio_transcript.delta":
                    told = {"type": "output_text_delta", "text": event["delta"]}
                    await self.tell({**told, "response_id": event["response_id"]})
                case "response.done":
                    response = event["response"]["id"]
                    self.over[response] = {"type": "response_done", "response_id": response}
                case "error":
                    await self.tell({"type": "error", **{key: event["error"][key] for key in ("code", "message")}})

    async def tell(self, event: dict[str, Any]) -> None:
        await self.judge.send(json.dumps(event))


@asynccontextmanager
async def bridged(url: str) -> AsyncIterator[str]:
    """Answer calls of the judge by the server at `url`; give the address for the judge."""

    async def call(judge: ServerConnection) -> None:
        async with connect(url, max_size=None) as agent:
            sound = {"type": "audio/pcm", "rate": RATE}
            listening = {"format": sound, "turn_detection": {"type": "server_vad"}}
            session = {"type": "realtime", "audio": {"input": listening, "output": {"format": sound}}}
            await agent.send(json.dumps({"type": "session.update", "session": session}))
            one = Call(judge, agent)
            tasks = [asyncio.ensure_future(work) for work in (one.take(), one.pace(), one.hear())]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
            for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(outcome, Exception) and not isinstance(outcome, ConnectionClosed):
                    raise outcome

    async with serve(call, "127.0.0.1", 0, max_size=None) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
