"""A whole client of a Realtime server in one file: it asks a recorded question and writes the spoken answer.

    python realtime_client.py question.wav answer.wav [--server ws://127.0.0.1:8765/v1] [--api-key-file FILE]
    python realtime_client.py --text "One ticket costs nine dollars. How much are four?"

It needs Python 3.11 and `pip install websockets`, nothing of Descant. The question must be a WAV file of 16 bits and
24 kHz, mono: that is what the protocol carries. `descant talk --server` does the same for any WAV file, and live.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import wave
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

RATE = 24_000  # samples per second, both ways
TENTH = RATE // 10 * 2  # bytes of a tenth of a second


async def send(socket: ClientConnection, kind: str, **fields: Any) -> None:
    """Send one event; every event is a JSON object with a type."""
    await socket.send(json.dumps({"type": kind, **fields}))


async def speak(socket: ClientConnection, question: bytes) -> None:
    """Play the microphone: a tenth of a second every tenth of a second, and silence afterwards, as a room has it."""
    while True:
        piece, question = question[:TENTH].ljust(TENTH, b"\0"), question[TENTH:]
        await send(socket, "input_audio_buffer.append", audio=base64.b64encode(piece).decode())
        await asyncio.sleep(0.1)


async def listen(socket: ClientConnection) -> bytes:
    """Print what is heard and said; give the sound of the reply."""
    sound = b""
    async for message in socket:
        event = json.loads(message)
        match event["type"]:
            # The server hears by itself when somebody speaks. Whoever plays the reply must fall silent here, and then
            # send conversation.item.truncate with what was really played; this client only collects it.
            case "input_audio_buffer.speech_started":
                print("(speech)")
            case "conversation.item.input_audio_transcription.completed":
                print("you:  ", event["transcript"])
            case "response.output_audio_transcript.delta" | "response.output_text.delta":
                print(event["delta"], end="", flush=True)
            case "response.output_audio.delta":
                sound += base64.b64decode(event["delta"])
            case "response.done":
                print()
                if event["response"]["status"] != "completed":
                    raise SystemExit(f"the reply was {event['response']['status']}")
                return sound
            case "error":
                raise SystemExit(event["error"]["message"])
    raise SystemExit("the server closed the connection")


async def talk(server: str, key: str, question: bytes) -> bytes:
    """Ask by voice. Nothing has to be set: a session begins with voice in, voice out."""
    headers = {"Authorization": f"Bearer {key}"}
    async with connect(f"{server}/realtime?model=descant", additional_headers=headers) as socket:
        speaking = asyncio.create_task(speak(socket, question))
        try:
            return await listen(socket)
        finally:
            speaking.cancel()


async def ask(server: str, key: str, text: str) -> None:
    """Ask in writing, and be answered in writing."""
    headers = {"Authorization": f"Bearer {key}"}
    async with connect(f"{server}/realtime?model=descant", additional_headers=headers) as socket:
        await send(socket, "session.update", session={"type": "realtime", "output_modalities": ["text"]})
        content = [{"type": "input_text", "text": text}]
        await send(socket, "conversation.item.create", item={"type": "message", "role": "user", "content": content})
        # A written message does not ask for a reply by itself; speech does.
        await send(socket, "response.create")
        await listen(socket)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("question", nargs="?", type=Path)
    parser.add_argument("answer", nargs="?", type=Path, default=Path("answer.wav"))
    parser.add_argument("--text")
    parser.add_argument("--server", default="ws://127.0.0.1:8765/v1")
    parser.add_argument("--api-key-file", type=Path)
    given = parser.parse_args()
    # Some key is always sent; a server that was started without one does not look at it.
    key = given.api_key_file.read_text().split()[0] if given.api_key_file else "none"
    if given.text:
        asyncio.run(ask(given.server, key, given.text))
        return
    if given.question is None:
        parser.error("name a WAV file, or give --text")
    with wave.open(str(given.question)) as recording:
        if (recording.getframerate(), recording.getsampwidth(), recording.getnchannels()) != (RATE, 2, 1):
            parser.error(f"{given.question}: it must be 24 kHz, 16 bit, mono")
        question = recording.readframes(recording.getnframes())
    sound = asyncio.run(talk(given.server, key, question))
    with wave.open(str(given.answer), "wb") as answer:
        answer.setparams((1, 2, RATE, 0, "NONE", ""))
        answer.writeframes(sound)


if __name__ == "__main__":
    main()
