"""What a request says of itself, and whose it is: sans-I/O.

A *session* is a random identity, signed by the server; whoever has the token may read and write the blocks of that
session. A request names its block and those that it reads within its session only: there is no way to say another's.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

SESSION: Final = "live_session"
BLOCK: Final = "live_block"
VIEW: Final = "live_view"
_IDENTITY_BYTES: Final = 16
_SIGNATURE_BYTES: Final = 16
_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{22}", re.ASCII)


class RequestRefused(ValueError):
    """A request that is answered with an error. `status` is the one of HTTP that fits."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class RequestedView:
    """What one request asks for."""

    session: str
    """Identity of the session, verified."""
    block: str | None
    """Name under which others of the session may read it; None: nobody may."""
    view: tuple[str, ...]
    """Names of the blocks that stand before its own, in order."""


def new_session(secret: bytes) -> str:
    """Make the token of a new session."""
    identity = secrets.token_bytes(_IDENTITY_BYTES)
    return f"{_text(identity)}.{_text(_signature(secret, identity))}"


def wanted(arguments: Mapping[str, Any] | None, secret: bytes, most: int) -> RequestedView | None:
    """Read a request's extra arguments; None for an ordinary request.

    Raises `RequestRefused` for whatever is not exactly of the form, for a token that this server did not sign, and for
    views of more than `most` blocks.
    """
    arguments = arguments or {}
    if not any(name in arguments for name in (SESSION, BLOCK, VIEW)):
        return None
    block, view = arguments.get(BLOCK), arguments.get(VIEW, [])
    if block is not None:
        _check_name(BLOCK, block)
    if not isinstance(view, list):
        raise RequestRefused(f"{VIEW} is a list of names of blocks, not {type(view).__name__}")
    for name in view:
        _check_name(VIEW, name)
    if len(set(view)) != len(view):
        raise RequestRefused(f"{VIEW} names a block twice; a block stands in a view once")
    if len(view) > most:
        raise RequestRefused(f"{VIEW} names {len(view)} blocks, and a view here has at most {most}")
    if block is None and not view:
        raise RequestRefused(f"{SESSION} without {BLOCK} and {VIEW} means nothing; give at least one of them")
    return RequestedView(_identity(arguments.get(SESSION), secret), block, tuple(view))


def _check_name(argument: str, name: object) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise RequestRefused(f"{argument}: a block's name has 1 to 64 letters, digits, dots, dashes and underscores")


def _identity(token: object, secret: bytes) -> str:
    """Verify a token. What is wrong with one is not told: nobody needs help with guessing."""
    if isinstance(token, str) and _TOKEN.fullmatch(token):
        identity, signature = (base64.urlsafe_b64decode(f"{part}==") for part in token.split("."))
        # The text is compared too: base64 has unused bits, and one session has one spelling.
        canonical = f"{_text(identity)}.{_text(signature)}" == token
        if hmac.compare_digest(signature, _signature(secret, identity)) and canonical:
            return _text(identity)
    raise RequestRefused(
        f"{SESSION} is not the token of a session of this server; POST /v1/live_views/sessions gives one", 403
    )


def _signature(secret: bytes, identity: bytes) -> bytes:
    return hmac.digest(secret, b"vllm-live-views session " + identity, hashlib.sha256)[:_SIGNATURE_BYTES]


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
