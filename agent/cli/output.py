"""Standard output and error, and files that a command is to write.

Standard output stands signs that it cannot write, and tells in one error that it cannot be written at all.
"""

from __future__ import annotations

import errno
import io
import os
import shutil
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from agent.errors import ConfigError, OutputLost

if TYPE_CHECKING:
    from pathlib import Path
    from typing import TextIO

    from _typeshed import ReadableBuffer

_OUTPUT: Final = 1
_ERRORS: Final = 2
_LEAST_ROOM: Final = 1 << 16
"""Bytes that must be free, or not even the beginning of anything can be written."""


class _Descriptor(io.FileIO):
    """The descriptor of standard output, whose errors no other file's can be taken for."""

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            raise OutputLost(
                f"standard output cannot be written: {error.strerror}", reader_gone=error.errno == errno.EPIPE
            ) from error


class _Complaints(io.FileIO):
    """The descriptor of standard error: where it is full or closed, the exit code is all that can be told."""

    def write(self, data: ReadableBuffer, /) -> int:
        with suppress(OSError):
            super().write(data)
        return memoryview(data).nbytes


def open_output() -> None:
    """Put these in the place of `sys.stdout` and `sys.stderr`, and hold the places of streams that are closed.

    Otherwise the next file that is opened, such as a model, would take the place, and what is written get into it.
    """
    for number, other_way in enumerate((os.O_WRONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            # Opened the wrong way round, so that using it fails as it would closed.
            os.open(os.devnull, other_way)
    # Where they are others already, somebody else looks after them.
    if sys.stdout is sys.__stdout__:
        sys.stdout = _text(_Descriptor(_OUTPUT, "wb", closefd=False), sys.stdout, "replace")
    if sys.stderr is sys.__stderr__:
        sys.stderr = _text(_Complaints(_ERRORS, "wb", closefd=False), sys.stderr, "backslashreplace")


def _text(raw: io.FileIO, known: TextIO | None, errors: str) -> io.TextIOWrapper:
    encoding = "utf-8" if known is None else known.encoding
    lines = raw.isatty() or raw.fileno() == _ERRORS
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding=encoding, errors=errors, line_buffering=lines)


def drop_output() -> None:
    """Send what is still to be written to nowhere: Python flushes once more at exit, which must not fail again."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, _OUTPUT)
    os.close(nowhere)


def check_target(*files: Path | None) -> None:
    """Refuse files that will take nothing, before work is spent on their content. Raises ConfigError."""
    for file in files:
        if file is None:
            continue
        if file.is_char_device() and not file.samefile(os.devnull) and not _is_terminal(file):
            raise ConfigError(f"{file}: is a device, which keeps nothing; name another file.")
        folder = file.absolute().parent
        if folder.is_dir() and shutil.disk_usage(folder).free < _LEAST_ROOM:
            raise ConfigError(f"{file}: there is no room on its disk; free some, or name a file on another one.")


def _is_terminal(file: Path) -> bool:
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        return os.isatty(descriptor)
    finally:
        os.close(descriptor)
