"""The processes that `descant bench engine` compares, each behind one JSON line out and one in.

Whatever happens, a process that was started here is ended here. Knows no case and no figure.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from time import perf_counter
from typing import IO, TYPE_CHECKING, Any, Final

from bench.errors import BenchExtraMissing, ContenderFailed
from reasoning.errors import NativeUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from bench.engine.cases import Case

_READY_S: Final = 120.0
"""Seconds until a process has imported what it needs."""
_ANSWER_S: Final = 300.0
"""Seconds for one answer: the longest is packing a model of several gigabytes, or reading a long context."""
_QUIT_S: Final = 10.0
_KILL_S: Final = 5.0
_TOLD: Final = 2000
"""Bytes of a failed process' last words that are looked at."""


class KernelsUnavailable(ContenderFailed):
    """The engine's own kernels cannot be had here, or do not know the model."""


class Contender:
    """One running process."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, words: IO[bytes], start_s: float) -> None:
        self.name, self._process, self._words = name, process, words
        self.start_s: Final = start_s
        """Seconds from its start until it was ready to load a model."""
        self.process_id: Final = process.pid

    async def ask(self, **request: object) -> dict[str, Any]:
        """Send a request and wait for the answer.

        Raises:
            ContenderFailed: it reports an error, ends, or takes too long.

        """
        if self._process.stdin is None or self._process.stdout is None:
            raise ContenderFailed(f"{self.name} has no pipes")
        with suppress(ConnectionError):
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            await self._process.stdin.drain()
        return await _line(self.name, self._process.stdout, self._words, _ANSWER_S)

    async def run(self, case: Case) -> float:
        """Time a case once: seconds."""
        return float((await self.ask(do="run", case=case.document()))["s"])

    async def peak_bytes(self) -> int:
        """Give the most memory that the process had resident so far."""
        return int((await self.ask(do="memory"))["peak_bytes"])


@asynccontextmanager
async def contender(name: str, command: Sequence[str]) -> AsyncIterator[Contender]:
    """Start a process and wait until it is ready; end it afterwards.

    Raises:
        ContenderFailed: it does not become ready.

    """
    with tempfile.TemporaryFile() as words:
        start = perf_counter()
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=words
        )
        try:
            if process.stdout is None:
                raise ContenderFailed(f"{name} has no pipes")
            await _line(name, process.stdout, words, _READY_S)
            yield Contender(name, process, words, perf_counter() - start)
        finally:
            await asyncio.shield(_end(process))


def embedded() -> list[str]:
    """Give the command of the embedded engine."""
    return [sys.executable, "-m", "bench.engine.worker"]


def llama_cpp(python: Path) -> list[str]:
    """Give the command of llama.cpp.

    Raises:
        BenchExtraMissing: there is no such interpreter.

    """
    if not python.is_file():
        raise BenchExtraMissing(
            f"there is no {python}, the Python that has llama-cpp-python: build one with 'make llama-cpp' (a C++ "
            "compiler and some minutes), or name yours with --llama-cpp-python"
        )
    # Isolated: the folder of a script would come first in its path, and ours has names of the standard library.
    return [str(python), "-I", str(Path(__file__).with_name("llama_cpp.py"))]


async def _line(name: str, answers: asyncio.StreamReader, words: IO[bytes], seconds: float) -> dict[str, Any]:
    try:
        line = await asyncio.wait_for(answers.readline(), seconds)
    except TimeoutError as error:
        raise ContenderFailed(f"{name} gave no answer in {seconds:.0f} s") from error
    if not line:
        raise ContenderFailed(f"{name} ended unexpectedly: {_last_words(words)}")
    answer: dict[str, Any] = json.loads(line)
    if "error" in answer:
        kind = KernelsUnavailable if answer.get("kind") == NativeUnavailable.__name__ else ContenderFailed
        raise kind(f"{name}: {answer['error']}")
    return answer


def _last_words(words: IO[bytes]) -> str:
    words.seek(max(0, words.seek(0, 2) - _TOLD))
    lines = words.read().decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"


async def _end(process: asyncio.subprocess.Process) -> None:
    """End a process: by closing its input, which ends it at once, then by asking, then by force."""
    if process.stdin is not None:
        process.stdin.close()
    for end, seconds in ((None, _QUIT_S), (process.terminate, _KILL_S), (process.kill, _KILL_S)):
        if end is not None:
            with suppress(ProcessLookupError):
                end()
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), seconds)
            return
