"""Who may come in: the server's key, keys for browsers that expire, and the web pages that may use them.

Sans-I/O: seconds come in. Keys are compared in constant time, and browser keys are kept as digests only.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from agent.errors import ServerUnavailable

if TYPE_CHECKING:
    from websockets.datastructures import Headers

_PREFIX: Final = "openai-insecure-api-key."
_SHORTEST: Final = 16


@dataclass(frozen=True, slots=True)
class Grant:
    """What a key allows."""

    session: Mapping[str, Any] | None = None
    """The session that a browser key was made for."""
    ephemeral: bool = False
    """It cannot make further keys."""


class Keys:
    """All keys of a server."""

    def __init__(self, key: str | None, *, most: int) -> None:
        """Make it; without a key everybody may come in. `most` browser keys may be valid at once."""
        self._key, self._most = key, most
        self._secrets: dict[bytes, tuple[float, Mapping[str, Any]]] = {}

    @property
    def open(self) -> bool:
        """Whether no key is needed."""
        return self._key is None

    def owner(self, conversation_id: str) -> str:
        """Tell whose a conversation is, to whoever has the same key, without telling the key."""
        key = b"" if self._key is None else self._key.encode()
        return hmac.new(key, conversation_id.encode(), hashlib.sha256).hexdigest()

    def grant(self, offered: str | None, now_s: float) -> Grant | None:
        """Judge what a client offers; None: it may not come in."""
        if offered is not None and offered.startswith("ek_"):
            expires_at, session = self._secrets.get(_digest(offered), (0.0, {}))
            if now_s < expires_at:
                return Grant(session, ephemeral=True)
        if self._key is None:
            return Grant()
        return Grant() if hmac.compare_digest((offered or "").encode(), self._key.encode()) else None

    def mint(self, session: Mapping[str, Any], expires_at: float, now_s: float) -> str | None:
        """Make a browser key for a session; None when too many are valid."""
        self._secrets = {key: held for key, held in self._secrets.items() if held[0] > now_s}
        if len(self._secrets) >= self._most:
            return None
        secret = f"ek_{secrets.token_urlsafe(24)}"
        self._secrets[_digest(secret)] = (expires_at, session)
        return secret


def read_line(file: Path) -> str:
    """Read the first line of a file that holds a secret. Raises ServerUnavailable."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or error
        raise ServerUnavailable(f"{file}: the key cannot be read ({why})") from None
    return lines[0].strip() if lines else ""


def read_key(file: Path) -> str:
    """Read the server's key: the first line of a file. Raises ServerUnavailable."""
    key = read_line(file)
    if len(key) < _SHORTEST or not key.isascii():
        raise ServerUnavailable(
            f"{file}: its first line must be a key of at least {_SHORTEST} ASCII characters, "
            "as `openssl rand -hex 24` prints"
        )
    return key


def offered_key(headers: Headers) -> str | None:
    """Give the key in a request's headers; a browser, which cannot set headers, sends it as a subprotocol.

    Raises LookupError: two keys are offered as one.
    """
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    offers = (offer.strip() for given in headers.get_all("Sec-WebSocket-Protocol") for offer in given.split(","))
    return next((offer.removeprefix(_PREFIX) for offer in offers if offer.startswith(_PREFIX)), None)


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine."""
    bare = host.strip("[]").lower()
    try:
        return ipaddress.ip_address(bare).is_loopback
    except ValueError:
        return bare == "localhost" or bare.endswith(".localhost")


def may_call(origin: str | None, host: str, origins: Iterable[str], *, needs_key: bool) -> bool:
    """Whether a web page may use the server: it is the server's own, or named. No browser, no origin.

    A page whose name was made to point here (DNS rebinding) has that name in both headers; without a key only the
    names of this machine count.
    """
    if not needs_key and not is_loopback(urlsplit(f"//{host}").hostname or ""):
        return False
    if origin is None:
        return True
    return origin in origins or urlsplit(origin).netloc.lower() == host.lower()


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
