"""The shell of `descant serve`: keys and certificates from files, models loaded, then clients until a signal."""

from __future__ import annotations

import asyncio
import ssl
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.apps.loading import spinning, tell_start, telling
from agent.apps.printing import plain_console
from agent.apps.progress import shown
from agent.costs.sharing import ServerAccount
from agent.errors import ConfigError, ServerUnavailable
from agent.models.assembly import open_models
from agent.realtime.robot import SharedRobot
from agent.realtime.server.keys import Keys, is_loopback, read_key
from agent.realtime.server.models import open_server_models
from agent.realtime.server.server import RealtimeServer, until_stopped
from agent.realtime.server.store import open_store
from agent.robot.access import commanded, until_ready

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from agent.config.settings import Loaded, Settings


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """Where to serve, and who may come."""

    host: str
    port: int
    api_key_file: Path | None
    tls_cert: Path | None
    tls_key: Path | None
    robot: bool = False
    """Whether clients may command the robot of the settings."""
    verbose: bool = False
    """Whether it is told what the start takes its time for."""


async def run(loaded: Loaded, place: ServeOptions) -> None:
    """Serve until SIGTERM or SIGINT."""
    settings = loaded.settings
    key = None if place.api_key_file is None else read_key(place.api_key_file)
    if key is None and not is_loopback(place.host):
        raise ServerUnavailable(
            f"{place.host} can be reached by others: a server there needs a key; add --api-key-file FILE, "
            "or serve on 127.0.0.1"
        )
    tls, account = _tls(place), ServerAccount(settings.costs)
    async with AsyncExitStack() as stack:
        robot = await stack.enter_async_context(_shared_robot(settings)) if place.robot else None
        opening = open_models(settings, given=loaded.origins, fetching=shown, shown=spinning, tell=telling, warm=True)
        opened = await stack.enter_async_context(opening)
        models = await stack.enter_async_context(open_server_models(opened, robot, account))
        store = await stack.enter_async_context(open_store(settings.store, time.monotonic))
        server = RealtimeServer(
            models,
            settings.server,
            Keys(key, most=settings.server.secrets),
            model=settings.models.llm,
            voice=settings.models.voice,
            store=store,
            most_kept=min(settings.store.most_kb * 1024, settings.server.outbox_mb * 2**20 // 3),
        )
        async with server.listening(place.host, place.port, tls) as port:
            tell_start(opened, verbose=place.verbose)
            web, sockets = ("http", "ws") if tls is None else ("https", "wss")
            host = f"[{place.host}]" if ":" in place.host else place.host
            ready = f"ready: {web}://{host}:{port}/  (clients: {sockets}://{host}:{port}/v1)"
            plain_console().print(ready, soft_wrap=True)
            await until_stopped()


@asynccontextmanager
async def _shared_robot(settings: Settings) -> AsyncIterator[SharedRobot]:
    async with commanded(settings.robot) as robot:
        await until_ready(robot)
        shared = SharedRobot(robot)
        running = asyncio.create_task(shared.run(), name="robot events")
        try:
            yield shared
        finally:
            running.cancel()
            await asyncio.wait([running])


def _tls(place: ServeOptions) -> ssl.SSLContext | None:
    if place.tls_cert is None:
        if place.tls_key is not None:
            raise ConfigError(f"--tls-key {place.tls_key} needs the certificate, too: add --tls-cert FILE")
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(place.tls_cert, place.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"--tls-cert {place.tls_cert}: it cannot be loaded ({error.strerror or error})") from None
    return context
