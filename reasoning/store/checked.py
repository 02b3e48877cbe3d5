"""Files that are known by their checksum: hashing, the record of what was checked, setting a wrong one aside.

The record beside a file says which checksum it had and how it looked then (size, time of change): while it
still looks so, nothing is hashed again. In a folder that others can write, everything is hashed at every start.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from reasoning.store.catalogue import CatalogueFile

DENIED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
"""What the system says where this user may not write."""
_CHUNK_BYTES = 1 << 20


def size_of(path: Path) -> int:
    """Size of a file in bytes; 0 when there is none."""
    return path.stat().st_size if path.exists() else 0


def is_verified(folder: Path, file: CatalogueFile) -> bool:
    """Tell whether the file is there, of its size, and looks as it did when its checksum was right.

    A record is believed only to the letter, and where nobody but this user and root can have written it or the file.
    """
    wanted = _noted(file, file.size, _looks(folder, file)[1]) if (folder / file.name).exists() else ""
    try:
        with _record(folder, file).open("rb") as written:
            noted = written.read(len(wanted) + 1)
    except FileNotFoundError:
        return False
    ours = (_is_ours(path) for path in (folder, folder / file.name, _record(folder, file)))
    return bool(wanted) and noted == wanted.encode() and size_of(folder / file.name) == file.size and all(ours)


def wrong_with(path: Path, file: CatalogueFile, report: Callable[[int], None]) -> str:
    """Hash a file. Return what is wrong with it, or nothing; `report` gets the bytes hashed so far."""
    size = path.stat().st_size
    if size != file.size:
        return f"wrong size: expected {file.size:,} bytes, got {size:,}"
    digest = hashlib.sha256()
    done = 0
    with path.open("rb") as data:
        while chunk := data.read(_CHUNK_BYTES):
            digest.update(chunk)
            done += len(chunk)
            report(done)
    got = digest.hexdigest()
    return "" if got == file.sha256 else f"wrong checksum: expected sha256 {file.sha256}, got {got}"


def record(folder: Path, file: CatalogueFile) -> None:
    """Note that the file was verified, as it looks now."""
    path = _record(folder, file)
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    # A shared cache that cannot be written is a fair use of it: then every start checks anew.
    with _unless_denied():
        fresh.write_text(_noted(file, *_looks(folder, file)), encoding="utf-8")
        fresh.replace(path)


def forget(folder: Path, file: CatalogueFile) -> None:
    """Drop the record, so that the file is hashed again."""
    with _unless_denied():
        _record(folder, file).unlink(missing_ok=True)


def set_aside(path: Path, final: Path) -> Path:
    """Move a wrong file to where nobody uses it."""
    rejected = final.with_name(f"{final.name}.rejected")
    path.replace(rejected)
    return rejected


@contextlib.contextmanager
def _unless_denied() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in DENIED:
            raise


def _record(folder: Path, file: CatalogueFile) -> Path:
    return folder / f".{file.name}.verified"


def _looks(folder: Path, file: CatalogueFile) -> tuple[int, int]:
    """Size and time of change (ns)."""
    looks = (folder / file.name).stat()
    return looks.st_size, looks.st_mtime_ns


def _noted(file: CatalogueFile, size: int, changed_ns: int) -> str:
    return json.dumps({"sha256": file.sha256, "size": size, "mtime_ns": changed_ns})


def _is_ours(path: Path) -> bool:
    """Whether only this user and root can have written it; another's word is no check of a checksum."""
    found = path.stat()
    return found.st_uid in (0, os.geteuid()) and not found.st_mode & stat.S_IWOTH
