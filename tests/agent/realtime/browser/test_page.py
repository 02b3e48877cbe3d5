"""The web page in a real browser, against a server with a script: no models, exact expectations."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pytest
import soxr

from audio.io.sound_files import WavWriter, read_sound
from tests.agent.realtime.browser.conftest import PICTURES
from tests.agent.realtime.browser.peer import RATE, Peer, served

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.async_api import Page

    from audio.clock import Pcm, Sound
    from tests.agent.realtime.browser.conftest import Browse

pytestmark = pytest.mark.browser

RECORDINGS: Final = Path(__file__).parents[3] / "e2e" / "recordings"
QUESTION: Final = RECORDINGS / "weekday.wav"
NARROW: Final = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
DARK: Final = {"color_scheme": "dark"}


def tone(seconds: float) -> Pcm:
    phase = np.arange(round(seconds * RATE)) * (2 * np.pi * 330 / RATE)
    sound: Pcm = (np.sin(phase) * 8000).astype(np.int16)
    return sound


@pytest.fixture
def silence(tmp_path: Path) -> Path:
    with WavWriter(tmp_path / "silence.wav", 16_000) as writer:
        writer.write(np.zeros(16_000 * 2, np.int16))
    return tmp_path / "silence.wav"


async def started(page: Page, status: str = "Listening") -> None:
    await page.get_by_role("button", name="Start").click()
    await shows(page, status)


async def shows(page: Page, status: str) -> None:
    await page.wait_for_function("text => document.getElementById('status').textContent === text", arg=status)


async def picture(page: Page, name: str) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=PICTURES / f"{name}.png")


async def user_says(peer: Peer, item: str, text: str, *, end_ms: int) -> None:
    await peer.send("input_audio_buffer.speech_started", item_id=item, audio_start_ms=100)
    await peer.send("input_audio_buffer.speech_stopped", item_id=item, audio_end_ms=end_ms)
    message = {"id": item, "type": "message", "role": "user", "content": [{"type": "input_audio"}]}
    await peer.send("conversation.item.added", previous_item_id=None, item=message)
    await peer.send("conversation.item.input_audio_transcription.completed", item_id=item, transcript=text)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - the condition is about a browser
            await asyncio.sleep(0.02)


def best_match(heard: Sound, sent: Sound) -> float:
    """How much of `sent` is in `heard`, at the best offset: the normalised correlation."""
    size = 1 << (len(heard) + len(sent)).bit_length()
    products = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(sent, size)), size)
    return float(products.max() / np.sqrt((sent**2).sum() * (heard**2).sum()))


async def test_the_microphone_reaches_the_server_at_24_khz_16_bit(browse: Browse) -> None:
    recording = np.concatenate(list(read_sound(QUESTION)))
    async with served() as peer, browse(peer.url, QUESTION) as page:
        await started(page)
        await until(lambda: sum(map(len, peer.heard)) >= RATE * len(recording) / 16_000)
    heard = np.concatenate(peer.heard).astype(np.float32)
    # Echo cancellation and noise suppression are on, as for any user: the signal is alike, not the same.
    assert best_match(heard, soxr.resample(recording, 16_000, RATE).astype(np.float32)) > 0.5
    assert peer.protocols == ["realtime", "openai-insecure-api-key.ek_1"]


async def test_words_are_marked_as_they_sound_and_the_turn_tells_its_latency(browse: Browse, silence: Path) -> None:
    async with served() as peer, browse(peer.url, silence) as page:
        await started(page)
        await until(lambda: sum(map(len, peer.heard)) > RATE // 2)
        await user_says(peer, "item_u", "What day is it?", end_ms=200)
        await shows(page, "Thinking")
        await peer.reply("resp_1", "item_a", [("It is Wednesday ", tone(1.0)), ("and it rains.", tone(1.0))])
        await shows(page, "Speaking")
        assert "and it rains." in await page.locator(".agent .rest").inner_text()
        await page.wait_for_function("() => document.querySelector('.agent .word').textContent.includes('and')")
        await picture(page, "speaking")
        await shows(page, "Listening")
        assert await page.locator(".agent .rest").inner_text() == ""
        assert await page.locator(".agent p").text_content() == "Descant: It is Wednesday and it rains."
        assert await page.locator(".user .said").inner_text() == "What day is it?"
        told = await page.locator(".agent small").inner_text()
        assert 0.1 < float(told.removeprefix("after ").removesuffix(" s")) < 5
        assert not [event for event in peer.events if event["type"] == "conversation.item.truncate"]


async def test_a_barge_in_cuts_the_sound_and_tells_exactly_what_was_played(browse: Browse, silence: Path) -> None:
    async with served() as peer, browse(peer.url, silence) as page:
        await started(page)
        sent = time.monotonic()
        await peer.reply("resp_1", "item_a", [("One two three four five. ", tone(4.0)), ("Six.", tone(2.0))])
        await shows(page, "Speaking")
        await asyncio.sleep(1.5)
        await peer.send("input_audio_buffer.speech_started", item_id="item_u", audio_start_ms=0)
        truncate = await peer.expect("conversation.item.truncate")
        most_ms = (time.monotonic() - sent) * 1000
        assert truncate["item_id"] == "item_a"
        assert truncate["content_index"] == 0
        assert 1000 < truncate["audio_end_ms"] < min(4000, most_ms)
        await shows(page, "Hearing you")
        await picture(page, "interrupted")
        heard = await page.locator(".agent .said").inner_text() + await page.locator(".agent .word").inner_text()
        assert 0 < len(heard) < len("One two three four five.")
        assert await page.locator(".agent.cut small").inner_text() == "interrupted"


async def test_the_count_of_what_was_played_is_exact(browse: Browse, silence: Path) -> None:
    """Rendered offline, where time is exact: flushed in the middle of the second chunk of an item."""
    rendering = """async () => {
        const context = new OfflineAudioContext(1, 24000, 24000);
        await context.audioWorklet.addModule('playback-worklet.js');
        const node = new AudioWorkletNode(context, 'playback', { numberOfInputs: 0, outputChannelCount: [1] });
        node.connect(context.destination);
        const reports = [];
        node.port.onmessage = ({ data }) => reports.push(data);
        const chunk = () => Int16Array.from({ length: 5000 }, (_, index) => index + 1);
        for (const item of ['a', 'b', 'b', 'b']) node.port.postMessage({ item, pcm: chunk() });
        const turn = () => new Promise(done => setTimeout(done, 100));
        context.suspend(12800 / 24000).then(async () => {
            node.port.postMessage({ flush: true });
            await turn();
            await context.resume();
        });
        await turn();
        const sound = (await context.startRendering()).getChannelData(0);
        await turn();
        const played = [...sound].filter(sample => sample !== 0).length;
        const wrong = [...sound].findIndex((sample, at) => at < played && Math.round(sample * 32768) !== at % 5000 + 1);
        return { reports, played, wrong };
    }"""
    async with served() as peer, browse(peer.url, silence) as page:
        result = await page.evaluate(rendering)
    flushed = [report["flushed"] for report in result["reports"] if "flushed" in report]
    # A message to the worklet is read between two blocks of 128 samples.
    assert flushed == [[{"item": "b", "played": result["played"] - 5000, "queued": 20_000 - result["played"]}]]
    assert abs(result["played"] - 12_800) <= 256
    assert result["wrong"] == -1
    assert [report["started"] for report in result["reports"] if "started" in report] == ["a", "b"]


async def test_sound_of_an_interrupted_reply_that_still_arrives_is_not_played(browse: Browse, silence: Path) -> None:
    async with served() as peer, browse(peer.url, silence) as page:
        await started(page)
        await peer.reply("resp_1", "item_a", [("One two. ", tone(2.0))], done=False)
        await shows(page, "Speaking")
        await page.keyboard.press("Escape")
        assert (await peer.expect("response.cancel"))["response_id"] == "resp_1"
        await peer.expect("conversation.item.truncate")
        await peer.reply("resp_1", "item_a", [("Three.", tone(1.0))])
        await shows(page, "Listening")
        await asyncio.sleep(0.3)
        assert await page.locator("#status").inner_text() == "Listening"


async def test_the_talk_key_sends_only_while_it_is_held(browse: Browse, silence: Path) -> None:
    async with served() as peer, browse(peer.url, silence) as page:
        await page.get_by_text("Options").click()
        await page.get_by_label("Hold to talk", exact=True).check()
        await page.keyboard.press("Escape")
        await started(page, "Hold the button to talk")
        update = await peer.expect("session.update")
        assert update["session"]["audio"]["input"]["turn_detection"] is None
        await asyncio.sleep(0.3)
        assert peer.heard == []
        await page.locator("body").click(position={"x": 5, "y": 300})
        await page.keyboard.down("Space")
        await shows(page, "Hearing you")
        await until(lambda: sum(map(len, peer.heard)) > RATE // 3)
        await page.keyboard.up("Space")
        await peer.expect("input_audio_buffer.commit")
        await peer.expect("response.create")
        await shows(page, "Thinking")


async def test_mute_sends_silence_so_that_the_clock_goes_on(browse: Browse) -> None:
    async with served() as peer, browse(peer.url, QUESTION) as page:
        await started(page)
        await page.keyboard.press("m")
        assert await page.get_by_role("button", name="Unmute").get_attribute("aria-pressed") == "true"
        await shows(page, "Muted")
        await asyncio.sleep(0.2)
        before = len(peer.heard)
        await until(lambda: len(peer.heard) > before + 25)
        assert not np.concatenate(peer.heard[before:]).any()


async def test_a_typed_message_asks_for_a_reply(browse: Browse, silence: Path) -> None:
    async with served() as peer, browse(peer.url, silence) as page:
        await started(page)
        await page.get_by_label("Type instead of speaking").fill("<b>Mind</b> the m key")
        await page.keyboard.press("Enter")
        item = (await peer.expect("conversation.item.create"))["item"]
        assert item["content"] == [{"type": "input_text", "text": "<b>Mind</b> the m key"}]
        await peer.expect("response.create")
        await peer.send("conversation.item.added", previous_item_id=None, item={**item, "id": "item_t"})
        await page.wait_for_selector(".user")
        assert await page.locator(".user .said").inner_text() == "<b>Mind</b> the m key"
        assert await page.locator(".user b").count() == 0


async def test_thoughts_are_asked_for_only_when_wanted(browse: Browse, silence: Path) -> None:
    async with served() as peer, browse(peer.url, silence) as page:
        await started(page)
        assert peer.paths[-1].endswith("?extensions=words")
        assert not await page.locator("#thoughts").is_visible()
    async with served() as peer, browse(f"{peer.url}?extensions=thoughts", silence, **DARK) as page:
        await started(page)
        assert peer.paths[-1].endswith("?extensions=words%2Cthoughts")
        thoughts = "Facts: 12 hens, 2 eggs a day, 5 days.\n12 x 2 = 24\n24 x 5 = 120\n"
        await peer.send("response.output_audio_transcript.delta", item_id="item_a", delta="", thoughts=thoughts)
        await page.get_by_text("24 x 5 = 120").wait_for()
        assert await page.locator(".agent").count() == 0
        await user_says(peer, "item_u", "A farmer has twelve chickens. How many eggs in five days?", end_ms=200)
        await peer.reply(
            "resp_1", "item_a", [("Every day he finds twenty-four eggs, ", tone(2.0)), ("so 120.", tone(1))]
        )
        await shows(page, "Speaking")
        await asyncio.sleep(0.5)
        await picture(page, "thoughts")


async def test_a_key_is_asked_for_changed_for_a_short_lived_one_and_kept(browse: Browse, silence: Path) -> None:
    async with served(key="sesame") as peer, browse(peer.url, silence) as page:
        await page.get_by_role("button", name="Start").click()
        dialog = page.get_by_role("dialog", name="This server asks for a key")
        await dialog.get_by_label("Key").fill("wrong")
        await dialog.get_by_role("button", name="Connect").click()
        await page.wait_for_function("() => document.getElementById('key').value === ''")
        await dialog.get_by_label("Key").fill("sesame")
        await dialog.get_by_role("button", name="Connect").click()
        await shows(page, "Listening")
        assert "sesame" not in "".join(peer.protocols)
        await page.get_by_role("button", name="End", exact=True).click()
        await started(page)
        assert not await dialog.is_visible()


async def test_a_restarting_server_is_tried_again_and_a_refusal_is_not(browse: Browse, silence: Path) -> None:
    async with served() as peer, browse(peer.url, silence) as page:
        await started(page)
        await user_says(peer, "item_u", "Hello.", end_ms=0)
        await page.wait_for_selector(".user")
        await peer.drop(1012, "")
        await page.get_by_role("alert").get_by_text("Trying again").wait_for()
        await shows(page, "Listening")
        assert len(peer.paths) == 2
        assert await page.locator(".user .said").inner_text() == "Hello."
        await peer.drop(1008, "too many sessions")
        await page.get_by_role("alert").get_by_text("Too many sessions.").wait_for()
        await shows(page, "Not connected")


async def test_a_failed_reply_is_told(browse: Browse, silence: Path) -> None:
    async with served() as peer, browse(peer.url, silence) as page:
        await started(page)
        await peer.send("response.created", response={"id": "resp_1", "status": "in_progress"})
        details = {"type": "failed", "error": {"type": "server_error", "code": "x", "message": "the context is full"}}
        await peer.send("response.done", response={"id": "resp_1", "status": "failed", "status_details": details})
        await page.get_by_role("alert").get_by_text("the context is full").wait_for()
        await shows(page, "Listening")


@pytest.mark.parametrize("size", [{}, NARROW])
async def test_everything_has_a_name_and_fits_without_scrolling_sideways(
    browse: Browse, silence: Path, size: dict[str, Any]
) -> None:
    async with served() as peer, browse(f"{peer.url}?extensions=thoughts", silence, **size) as page:
        await picture(page, "narrow-offline" if size else "wide-offline")
        await started(page)
        await user_says(
            peer, "item_u", "I buy four tickets for nine dollars each and pay with fifty dollars.", end_ms=0
        )
        await peer.reply(
            "resp_1", "item_a", [("Four tickets cost thirty-six dollars. ", tone(1.5)), ("So 14.", tone(1))]
        )
        await shows(page, "Speaking")
        await picture(page, "narrow" if size else "wide")
        overflow = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert overflow <= 0
        nameless = await page.evaluate(
            """[...document.querySelectorAll('button, input, summary')]
                .filter(one => one.checkVisibility() && !one.textContent.trim() && !one.labels?.length)
                .map(one => one.outerHTML)"""
        )
        assert nameless == []
        small = await page.evaluate(
            """[...document.querySelectorAll('button, summary')].filter(one => one.checkVisibility())
                .filter(one => one.getBoundingClientRect().height < 40).map(one => one.id)"""
        )
        assert small == []


async def test_the_whole_page_is_reached_by_keyboard(browse: Browse, silence: Path) -> None:
    async with served() as peer, browse(peer.url, silence) as page:
        for _ in range(8):
            await page.keyboard.press("Tab")
            if await page.evaluate("document.activeElement.id") == "start":
                break
        await page.keyboard.press("Enter")
        await shows(page, "Listening")
        reached = set()
        for _ in range(12):
            await page.keyboard.press("Tab")
            reached.add(await page.evaluate("document.activeElement.id || document.activeElement.tagName"))
        assert {"text", "send", "start", "mute", "SUMMARY"} <= reached
        assert peer.paths
