"""A headless Chromium whose microphone is a WAV file."""

from __future__ import annotations

import os
import shutil
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

    from playwright.async_api import Page

PICTURES: Final = Path(__file__).parents[4] / "build" / "browser"
"""Where screenshots are kept; git ignores it."""


class Browse(Protocol):
    """Opens a page whose microphone plays a WAV file (an absolute path) once; fails if the page reports an error."""

    def __call__(self, url: str, wav: Path, **options: Any) -> AbstractAsyncContextManager[Page]: ...  # noqa: ANN401 - playwright's


@pytest.fixture
def browse() -> Browse:
    api = pytest.importorskip("playwright.async_api")
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if chromium is None:
        pytest.skip("there is no Chromium: apt-get install chromium, or name another one: CHROMIUM=/path")

    @asynccontextmanager
    async def browse(url: str, wav: Path, **options: Any) -> AsyncIterator[Page]:  # noqa: ANN401 - the same
        arguments = [
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--autoplay-policy=no-user-gesture-required",
            "--use-fake-ui-for-media-stream",
            "--use-fake-device-for-media-stream",
            # Without "%noloop" the file is played again and again.
            f"--use-file-for-fake-audio-capture={wav}%noloop",
        ]
        complaints: list[str] = []
        async with api.async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=chromium, args=arguments)
            context = await browser.new_context(**options)
            page = await context.new_page()
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
            await page.goto(url)
            yield page
            await browser.close()
        # The browser itself notes a refused key; that is what the page's question is about.
        assert [line for line in complaints if "401" not in line] == []

    return browse
