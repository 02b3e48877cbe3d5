"""The audit log: one JSON object per line, only ever appended."""

from __future__ import annotations

import errno
import json
import os
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from robots.errors import AuditFailed
from robots.facts.refusals import AuditUnwritable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path


@contextmanager
def audit_file(path: Path) -> Iterator[Callable[[Mapping[str, object]], None]]:
    """Open an audit log and yield the function that appends a record, with the time of day added as `at`.

    Raises:
        AuditFailed: the file cannot be opened; from the function: a record cannot be written.

    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    except OSError as error:
        raise AuditFailed(AuditUnwritable(str(path), error.strerror or str(error))) from None

    def append(record: Mapping[str, object]) -> None:
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = json.dumps({"at": at, **record}, ensure_ascii=False).encode() + b"\n"
        try:
            written = os.write(descriptor, line)
        except OSError as error:
            raise AuditFailed(AuditUnwritable(str(path), error.strerror or str(error))) from None
        if written < len(line):
            raise AuditFailed(AuditUnwritable(str(path), os.strerror(errno.ENOSPC)))

    try:
        yield append
    finally:
        os.close(descriptor)
