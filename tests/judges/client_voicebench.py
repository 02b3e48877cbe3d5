"""The judge's ear and mouth: voicebench over the OpenAI Realtime protocol. Runs in the judge's own environment.

    voicebench run scenario.yaml --adapter client_voicebench:Realtime --option url=ws://127.0.0.1:PORT/v1/realtime

Nothing here measures or decides anything: sound goes in and out, and a tool is answered.
"""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any, ClassVar

from voicebench import audio as au
from voicebench.adapters.base import AdapterError, AgentClear, Transcript
from voicebench.adapters.websocket import WebSocketAdapter

RATE = 24_000
"""Samples per second on the wire."""


class Realtime(WebSocketAdapter):
    """A client as most are: voice activity at the server, and one tool where the scenario has one."""

    name: ClassVar[str] = "realtime"

    def __init__(self, url: str, tool: dict[str, Any] | None = None, instructions: str = "", **options: Any) -> None:
        """`tool` has `name`, `description`, `parameters` and the `output` that it gives."""
        super().__init__(url, agent_sample_rate=RATE, **options)
        self._tool, self._instructions = tool, instructions
        self._ready, self._silent = asyncio.Event(), asyncio.Event()
        self._silent.set()

    async def connect(self) -> None:
        """Open the session as the scenario wants it; the clock runs on meanwhile, as a caller waits for the tone."""
        await super().connect()
        sound = {"type": "audio/pcm", "rate": RATE}
        listening = {"format": sound, "transcription": {"model": "default"}, "turn_detection": {"type": "server_vad"}}
        session: dict[str, Any] = {"type": "realtime", "audio": {"input": listening, "output": {"format": sound}}}
        if self._instructions:
            session["instructions"] = self._instructions
        if self._tool is not None:
            session["tools"] = [
                {"type": "function", **{key: self._tool[key] for key in ("name", "description", "parameters")}}
            ]
        await self._send({"type": "session.update", "session": session})
        try:
            await asyncio.wait_for(self._ready.wait(), self.connect_timeout_s)
        except TimeoutError as error:
            raise AdapterError("realtime: the session was not updated") from error

    def encode_audio(self, pcm: au.FloatArray) -> str:
        """Encode one frame of the caller."""
        sound = au.to_pcm16(au.resample(pcm, self.session.sample_rate, RATE))
        return json.dumps({"type": "input_audio_buffer.append", "audio": base64.b64encode(sound).decode()})

    def handle_text(self, message: str, now: float) -> None:
        """Take one event of the server."""
        event = json.loads(message)
        match event["type"]:
            case "session.updated":
                self._ready.set()
            case "response.output_audio.delta":
                self.handle_binary(base64.b64decode(event["delta"]), now, RATE)
            case "input_audio_buffer.speech_started":
                self.emit(AgentClear(now))
            case "conversation.item.input_audio_transcription.completed":
                self.emit(Transcript("user", event["transcript"], now))
            case "response.created":
                self._silent.clear()
            case "response.done":
                self._silent.set()
            case "response.function_call_arguments.done" if self._tool is not None:
                self._calls = asyncio.ensure_future(self._give(event["call_id"], self._tool["output"]))
            case "error":
                self.receive_error = AdapterError(f"{event['error']['code']}: {event['error']['message']}")

    async def _give(self, call_id: str, output: str) -> None:
        item = {"type": "function_call_output", "call_id": call_id, "output": output}
        await self._send({"type": "conversation.item.create", "item": item})
        # The response that called may still say so: while it does, another one is refused.
        await self._silent.wait()
        await self._send({"type": "response.create"})

    async def _send(self, event: dict[str, Any]) -> None:
        if self._ws is None:
            raise AdapterError("realtime: not connected")
        await self._ws.send(json.dumps(event))
