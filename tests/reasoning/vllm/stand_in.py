"""The stand-in for vLLM as a process of its own, which writes nonsense that its prompt alone determines."""

from __future__ import annotations

import argparse
import asyncio

from tests.reasoning.toy_vllm import ToyServer, ToyVllm, babbling

VOCABULARY = 64
TOKEN_S = 0.01


async def serve(port: int) -> None:
    model = ToyVllm(babbling(VOCABULARY), max_model_len=4096, gate=asyncio.Semaphore(0))
    server = ToyServer(model)
    server.port = port
    async with server.served():
        while True:
            await asyncio.sleep(TOKEN_S)
            for _ in range(model.running):
                assert model.gate is not None
                model.gate.release()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    asyncio.run(serve(parser.parse_args().port))
