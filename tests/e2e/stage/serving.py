"""The realtime server with the real models, for tests that are its clients."""

from __future__ import annotations

import base64
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import soxr
from websockets.asyncio.client import connect

from agent.config.settings import load
from agent.models.assembly import open_models
from agent.realtime.server.keys import Keys
from agent.realtime.server.models import open_server_models
from agent.realtime.server.options import ServerOptions
from agent.realtime.server.server import RealtimeServer
from tests.agent.realtime.fakes import Client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from agent.realtime.adapter import ServerModels
    from audio.clock import Sound


@dataclass(frozen=True)
class Served:
    """A server that listens, and the models behind it."""

    port: int
    house: ServerModels

    @asynccontextmanager
    async def client(self, *extensions: str) -> AsyncIterator[Client]:
        """Connect with these opt-ins."""
        url = f"ws://127.0.0.1:{self.port}/v1/realtime?model=m&extensions={','.join(extensions)}"
        async with connect(url, max_size=None, max_queue=None, compression=None) as socket:
            # Four at a time on two busy cores wait for each other.
            client = Client(socket, patience_s=300)
            await client.until("session.created")
            yield client

    async def spoken(self, text: str) -> Sound:
        """Say a text by the server's own voice: samples at 24 kHz."""
        clip = await self.house.synthesizer.synthesize(text)
        sound: Sound = soxr.resample(clip.samples.astype("float32") / 32768, clip.rate, 24_000)
        return sound


@asynccontextmanager
async def served() -> AsyncIterator[Served]:
    """Load the models that are configured and serve them on loopback."""
    settings = load().settings
    voice = settings.models.voice
    async with open_models(settings) as models, open_server_models(models) as house:
        server = RealtimeServer(house, ServerOptions(drain_s=1.0), Keys(None, most=1), model="m", voice=voice)
        async with server.listening("127.0.0.1", 0) as port:
            yield Served(port, house)


async def say(client: Client, sound: Sound) -> None:
    """Append samples at 24 kHz, all at once."""
    pcm = (sound * 32767).astype("<i2").tobytes()
    for start in range(0, len(pcm), 9600):
        await client.send("input_audio_buffer.append", audio=base64.b64encode(pcm[start : start + 9600]).decode())
