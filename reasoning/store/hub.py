"""Model files from their publisher over HTTP, resumed where they broke off: of the hub, or of the source.

It grows a part file and knows neither checksums nor the cache. The address on the hub is made by huggingface_hub, so
the user's HF_ENDPOINT holds.
"""

from __future__ import annotations

import queue
import threading
from http import HTTPStatus
from typing import TYPE_CHECKING

from reasoning.errors import SourceFailed
from reasoning.store.catalogue import CommittedFile, HubFile, ReleaseFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import httpx

_CONNECT_S = 3.0
"""An unreachable hub must not hold up a start that the registry can serve."""
_ANSWER_S = 4.0
"""For the first answer, name resolution included, which no socket time-out bounds."""
_READ_S = 15.0
_FRUITLESS_ATTEMPTS = 3
"""Attempts in a row that bring no byte before the source counts as failed."""


_SOURCES = "https://github.com"


class ModelHost:
    """A place where publishers keep their files; once found unreachable it is not asked again."""

    def __init__(self, endpoint: str | None = None) -> None:
        """`endpoint`: instead of the usual address of the place."""
        self._endpoint = endpoint
        self._reached = False
        self._down: str | None = None

    def fetch(
        self, source: HubFile | ReleaseFile | CommittedFile, size: int, part: Path, report: Callable[[int], None]
    ) -> None:
        """Grow `part` to `size` bytes; what is there already is kept.

        Raises:
            SourceFailed: the place cannot be reached, refuses, or breaks off too often.
            OSError: the part file cannot be written.

        """
        import httpx  # noqa: PLC0415 - only a fetch needs it

        url = self._address(source)
        self._reach(url)
        timeout = httpx.Timeout(_READ_S, connect=_CONNECT_S)
        reason, fruitless = "", 0
        with httpx.Client(timeout=timeout, follow_redirects=True) as client:
            while fruitless < _FRUITLESS_ATTEMPTS:
                before = _size(part)
                try:
                    _stream(client, url, size, part, report)
                except httpx.HTTPError as error:
                    reason = _say(error)
                    if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError)):
                        self._down = reason
                        break
                if _size(part) == size:
                    return
                reason = reason or f"broke off after {_size(part):,} of {size:,} bytes"
                fruitless = 0 if _size(part) > before else fruitless + 1
        raise SourceFailed(reason)

    def _address(self, source: HubFile | ReleaseFile | CommittedFile) -> str:
        place = self._endpoint or _SOURCES
        if isinstance(source, ReleaseFile):
            return f"{place}/{source.repo}/releases/download/{source.tag}/{source.name}"
        if isinstance(source, CommittedFile):
            return f"{place}/{source.repo}/raw/{source.commit}/{source.path}"
        from huggingface_hub import hf_hub_url  # noqa: PLC0415 - only a fetch needs it

        return hf_hub_url(source.repo, source.path, endpoint=self._endpoint)

    def _reach(self, url: str) -> None:
        """Ask once, in a thread that may be left behind: name resolution cannot be cut short."""
        if not self._reached and self._down is None:
            answers: queue.Queue[str] = queue.Queue()
            threading.Thread(target=_ask, args=(url, answers), daemon=True, name="hub-reach").start()
            try:
                self._down = answers.get(timeout=_ANSWER_S) or None
            except queue.Empty:
                self._down = f"no answer within {_ANSWER_S:g} s"
            self._reached = self._down is None
        if self._down is not None:
            raise SourceFailed(f"unreachable ({self._down})")


def _ask(url: str, answers: queue.Queue[str]) -> None:
    import httpx  # noqa: PLC0415 - only a fetch needs it

    try:
        httpx.head(url, timeout=_CONNECT_S)
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        answers.put(_say(error))
    else:
        answers.put("")


def _stream(client: httpx.Client, url: str, size: int, part: Path, report: Callable[[int], None]) -> None:
    start = _size(part)
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    with client.stream("GET", url, headers=headers) as response:
        if response.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            part.unlink()
            return
        if response.is_error:
            raise SourceFailed(f"HTTP {response.status_code} {response.reason_phrase}".strip())
        ranged = response.headers.get("Content-Range", "").startswith(f"bytes {start}-")
        resumed = response.status_code == HTTPStatus.PARTIAL_CONTENT and ranged
        with part.open("ab" if resumed else "wb") as out:
            done = start if resumed else 0
            report(done)
            for chunk in response.iter_raw():
                done += len(chunk)
                if done > size:
                    raise SourceFailed(f"sends more than the {size:,} bytes of this file")
                out.write(chunk)
                report(done)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _say(error: Exception) -> str:
    return str(error) or type(error).__name__
