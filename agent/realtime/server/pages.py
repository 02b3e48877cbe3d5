"""Requests that are not websockets: the web page, health, figures, and keys for browsers."""

from __future__ import annotations

import http
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from websockets.datastructures import Headers
from websockets.http11 import Response

from agent.realtime.protocol.fields import InvalidRequest
from agent.realtime.protocol.protocol import Protocol
from agent.realtime.server import meters
from agent.realtime.server.connection import parsed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agent.realtime.server.keys import Keys

WEB: Final = Path(__file__).parents[1] / "web"
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
}
_SAFE: Final = {
    "Content-Security-Policy": (
        "default-src 'self'; connect-src 'self' ws: wss:; worker-src 'self' blob:; img-src 'self' data:; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def answer(
    status: http.HTTPStatus, body: bytes | str | dict[str, Any], content_type: str = "", *, retry_after_s: int = 0
) -> Response:
    """Make a response; a dict becomes JSON. `retry_after_s`: when to ask again, if that may help."""
    kind = content_type or "text/plain; charset=utf-8"
    if isinstance(body, dict):
        body, kind = json.dumps(body), "application/json"
    data = body.encode() if isinstance(body, str) else body
    headers = Headers({"Content-Type": kind, "Content-Length": str(len(data)), "Connection": "close", **_SAFE})
    if retry_after_s:
        headers["Retry-After"] = str(retry_after_s)
    return Response(status.value, status.phrase, headers, data)


def problem(status: http.HTTPStatus, code: str, message: str, *, retry_after_s: int = 0) -> Response:
    """Make the response that clients of the API understand as an error."""
    told = {"type": "invalid_request_error", "code": code, "message": message, "param": None}
    return answer(status, {"error": told}, retry_after_s=retry_after_s)


def page(path: str) -> Response:
    """Give a file of the web page."""
    name = path.lstrip("/") or "index.html"
    file = (WEB / name).resolve()
    kind = _TYPES.get(file.suffix)
    if kind is None or not file.is_relative_to(WEB.resolve()) or not file.is_file():
        return problem(http.HTTPStatus.NOT_FOUND, "not_found", f"There is nothing at {path[:80]!r}.")
    return answer(http.HTTPStatus.OK, file.read_bytes(), kind)


def figures(counted: meters.Meters) -> Response:
    """Give the figures for Prometheus."""
    return answer(http.HTTPStatus.OK, counted.text(), meters.CONTENT_TYPE)


async def client_secret(
    body: bytes, keys: Keys, default_s: int, session: Callable[[Any], Awaitable[Protocol]]
) -> Response:
    """`POST /v1/realtime/client_secrets`: make a browser key; `session` makes a session, to check what is asked."""
    try:
        wanted, seconds = _wanted(parsed(body.decode() if body else "{}"), default_s)
        made = await session({"type": "realtime", **wanted})
    except UnicodeDecodeError:
        return problem(http.HTTPStatus.BAD_REQUEST, "invalid_json", "The body is not UTF-8.")
    except InvalidRequest as refused:
        return problem(http.HTTPStatus.BAD_REQUEST, refused.code, refused.message)
    expires_at = int(time.time()) + seconds
    settings = {name: value for name, value in wanted.items() if name != "model"}
    secret = keys.mint(settings, expires_at, time.time())
    if secret is None:
        return problem(http.HTTPStatus.TOO_MANY_REQUESTS, "too_many_secrets", "Too many client secrets are valid.")
    return answer(http.HTTPStatus.OK, {"value": secret, "expires_at": expires_at, "session": made.shown()})


def _wanted(asked: object, default_s: int) -> tuple[dict[str, Any], int]:
    """Read the session and the seconds that a browser key is asked for with. Raises Refused."""
    if not isinstance(asked, dict):
        raise InvalidRequest("The body must be a JSON object.")
    wanted, after = asked.get("session") or {}, asked.get("expires_after") or {}
    seconds = after.get("seconds", default_s) if isinstance(after, dict) else None
    if not isinstance(seconds, int) or not 10 <= seconds <= 7200:
        raise InvalidRequest("expires_after.seconds must be between 10 and 7200.", param="expires_after.seconds")
    if not isinstance(wanted, dict) or wanted.get("type", "realtime") != "realtime":
        raise InvalidRequest("Only sessions of type 'realtime' are served.", param="session.type")
    return wanted, seconds
