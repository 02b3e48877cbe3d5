"""`descant ask --server` and `talk --server`, against a server with a script."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import numpy as np
import pytest

from agent.apps.remote import address, ask
from agent.apps.remote_talk import WIRE_RATE, RemotePlace, run_recording
from agent.errors import ConfigError, ServerUnreachable
from audio.io.sound_files import WavWriter, read_sound
from tests.agent.command_line import Descant, descant
from tests.agent.realtime.browser.peer import served

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["descant"]
ITEM: Final = {"response_id": "r", "item_id": "i", "output_index": 0, "content_index": 0}


@pytest.mark.parametrize(
    ("server", "websocket"),
    [
        ("127.0.0.1:8765", "ws://127.0.0.1:8765/v1/realtime?model=descant"),
        ("http://localhost:8765/", "ws://localhost:8765/v1/realtime?model=descant"),
        ("https://example.org/v1", "wss://example.org/v1/realtime?model=descant"),
        ("wss://example.org/voice/v1/realtime", "wss://example.org/voice/v1/realtime?model=descant"),
    ],
)
def test_every_way_to_name_a_server_is_understood(server: str, websocket: str) -> None:
    assert address(server) == websocket
    assert address(server, "thoughts") == f"{websocket}&extensions=thoughts"


@pytest.mark.parametrize(
    "server",
    [
        *("ftp://example.org", "http://", "", "http://[", "http://[::1", "http://127.0.0.1:99999", "http://a:b"),
        *("http://127.0.0.1:0", "http://a b", "http://a\x00b", "ws://[[::1]]"),
    ],
)
def test_what_is_no_address_is_refused(server: str) -> None:
    with pytest.raises(ConfigError, match="--server"):
        address(server)


async def test_a_typed_question_is_answered_in_writing(capsys: pytest.CaptureFixture[str]) -> None:
    async with served(key="sesame") as peer:
        asking = asyncio.create_task(ask(peer.url, "sesame", "What is two and two?", None, thoughts=True))
        item = (await peer.expect("conversation.item.create"))["item"]
        await peer.expect("response.create")
        assert item["content"][0]["text"] == "What is two and two?"
        assert peer.paths[-1].endswith("extensions=thoughts")
        await peer.send("response.output_text.delta", **ITEM, delta="", thoughts="2 + 2 = 4\n")
        await peer.send("response.output_text.delta", **ITEM, delta="Four.")
        await peer.send("response.done", response={"id": "r", "status": "completed", "usage": {"output_tokens": 1}})
        await asking
    assert capsys.readouterr().out == "2 + 2 = 4\nFour.\n"


async def test_a_failed_reply_and_a_lost_server_are_told() -> None:
    async with served() as peer:
        asking = asyncio.create_task(ask(peer.url, None, "Hello?", None, thoughts=False))
        await peer.expect("response.create")
        details = {"type": "failed", "error": {"message": "the context is full"}}
        await peer.send("response.done", response={"id": "r", "status": "failed", "status_details": details})
        with pytest.raises(ServerUnreachable, match="the context is full"):
            await asking
        asking = asyncio.create_task(ask(peer.url, None, "Hello?", None, thoughts=False))
        await peer.expect("response.create")
        await peer.drop(1012, "the server restarts")
        with pytest.raises(ServerUnreachable, match="1012 the server restarts"):
            await asking


async def test_a_wrong_key_is_told() -> None:
    async with served(key="sesame") as peer:
        with pytest.raises(ServerUnreachable, match="--api-key-file"):
            await ask(peer.url, "wrong", "Hello?", None, thoughts=False)


async def test_a_recording_is_played_and_the_reply_is_written(tmp_path: Path) -> None:
    question, answer = tmp_path / "question.wav", tmp_path / "answer.wav"
    with WavWriter(question, 16_000) as writer:
        writer.write(np.full(8_000, 500, np.int16))
    async with served() as peer:
        place = RemotePlace(peer.url, None, tmp_path / "turn.jsonl")
        talking = asyncio.create_task(run_recording(place, question, answer, 20))
        while sum(map(len, peer.heard)) < WIRE_RATE // 4:  # noqa: ASYNC110 - the condition is about a websocket
            await asyncio.sleep(0.01)
        await peer.send("input_audio_buffer.speech_started", item_id="u", audio_start_ms=0)
        await peer.send("input_audio_buffer.speech_stopped", item_id="u", audio_end_ms=300)
        await peer.send("conversation.item.input_audio_transcription.completed", item_id="u", transcript="Hello.")
        await peer.reply("r", "i", [("Hi.", np.full(WIRE_RATE // 5, 800, np.int16))])
        await talking
    heard = np.concatenate(list(read_sound(answer)))
    # 0.2 s of the reply, whichever frame it began in; resampled to the input clock.
    assert abs(int((np.abs(heard) > 0.01).sum()) - 3200) < 64
    assert '"Hi."' in (tmp_path / "turn.jsonl").read_text()
    assert abs(np.concatenate(peer.heard).astype(float)[2000:4000].mean() - 500) < 5


def test_no_server_and_options_that_are_the_servers_are_told_in_one_line(descant: Descant) -> None:
    gone = descant("ask", "Hello?", "--server", "http://127.0.0.1:9")
    assert gone.code == 1
    assert "descant serve" in gone.line
    refused = descant("ask", "Hello?", "--server", "http://127.0.0.1:9", "--model", "any")
    assert refused.code == 2
    assert "--model" in refused.line
