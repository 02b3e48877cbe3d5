"""The page with the real agent behind it: a spoken question gets a spoken answer, and a barge-in cuts it."""

from __future__ import annotations

import asyncio
import base64
import re
import secrets
import signal
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pytest

from audio.io.sound_files import WavWriter, read_sound
from tests.agent.realtime.browser.test_page import RECORDINGS, picture, shows, started

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.agent.realtime.browser.conftest import Browse

pytestmark = [pytest.mark.browser, pytest.mark.e2e]

ROOT: Final = Path(__file__).parents[4]
PATIENCE_MS: Final = 90_000
PROMPTED_MICROPHONE: Final = """
    const context = new AudioContext({ sampleRate: 24000 });
    const microphone = context.createMediaStreamDestination();
    navigator.mediaDevices.getUserMedia = async () => { await context.resume(); return microphone.stream; };
    window.speak = async (sound) => {
        const bytes = Uint8Array.from(atob(sound), (letter) => letter.charCodeAt(0));
        const source = context.createBufferSource();
        source.buffer = await context.decodeAudioData(bytes.buffer);
        source.connect(microphone);
        source.start();
    };
"""


@asynccontextmanager
async def serving(*arguments: str) -> AsyncIterator[str]:
    """Run `descant serve`; give its address."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "from agent.cli.main import main; main()", "--set", "models.offline=true", "serve",
        "--port", "0", *arguments, cwd=ROOT, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        ready = re.search(r"http://\S+/", (await asyncio.wait_for(process.stdout.readline(), 120)).decode())
        assert ready is not None
        yield ready.group()
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


def recorded(tmp_path: Path, *parts: str | float) -> Path:
    """Put recordings, and seconds of silence, one after the other. A browser loses the first tenth of a second."""
    file = tmp_path / "microphone.wav"
    with WavWriter(file, 16_000) as writer:
        for part in parts:
            if isinstance(part, float):
                writer.write(np.zeros(round(part * 16_000), np.int16))
            else:
                sound = np.concatenate(list(read_sound(RECORDINGS / part)))
                writer.write((sound * 32767).astype(np.int16))
    return file


async def test_a_spoken_question_gets_a_spoken_answer(browse: Browse, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text(secrets.token_hex(16))
    microphone = recorded(tmp_path, 1.0, "tickets.wav", 120.0)
    async with (
        serving("--api-key-file", str(key)) as url,
        browse(f"{url}?extensions=thoughts", microphone) as page,
    ):
        await page.get_by_role("button", name="Start").click()
        await page.get_by_label("Key", exact=True).fill(key.read_text())
        await page.get_by_role("button", name="Connect").click()
        await page.locator(".user:not(.partial)").wait_for(timeout=PATIENCE_MS)
        assert "tickets" in await page.locator(".user .said").first.inner_text()
        await page.locator(".agent .word").first.wait_for(timeout=PATIENCE_MS)
        await picture(page, "conversation")
        await page.wait_for_function(
            "() => document.getElementById('status').textContent === 'Listening'", timeout=PATIENCE_MS
        )
        said = await page.locator(".agent p").last.inner_text()
        thoughts = await page.locator("#thinking").inner_text()
        after = await page.locator(".agent small").first.inner_text()
    print(f"said: {said!r} {after}\nthought: {thoughts!r}")
    assert "14" in said or "fourteen" in said
    assert "36" in thoughts
    assert 0.1 < float(after.removeprefix("after ").removesuffix(" s")) < 10


async def test_a_barge_in_cuts_the_answer(browse: Browse, tmp_path: Path) -> None:
    async with serving() as url, browse(url, recorded(tmp_path, 1.0)) as page:
        # The browser's own fake microphone cannot be told when to speak.
        await page.add_init_script(PROMPTED_MICROPHONE)
        await page.reload()
        await started(page)
        await page.evaluate("sound => window.speak(sound)", sound_of("eggs.wav"))
        await page.locator(".agent .word").first.wait_for(timeout=PATIENCE_MS)
        await shows(page, "Speaking")
        await page.evaluate("sound => window.speak(sound)", sound_of("greeting.wav"))
        await page.locator(".agent.cut").wait_for(timeout=PATIENCE_MS)
        await picture(page, "barge-in")
        await page.locator(".user").nth(1).wait_for(timeout=PATIENCE_MS)
        said, rest = [await page.locator(f".agent.cut {part}").first.text_content() for part in (".said", ".rest")]
    print(f"heard: {said!r}, not heard: {rest!r}")


def sound_of(recording: str) -> str:
    return base64.b64encode((RECORDINGS / recording).read_bytes()).decode()
