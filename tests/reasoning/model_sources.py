"""A hub on the loopback, a registry in a folder, and a small catalogue, for the tests of the store."""

from __future__ import annotations

import base64
import hashlib
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from reasoning.store.catalogue import CatalogueFile, HubFile, ModelEntry, Source, Use, WheelFile, WheelPiece

REPO = "someone/tiny"
PIECE = 4000


def content(size: int, seed: int = 0) -> bytes:
    return hashlib.shake_256(seed.to_bytes(4, "big")).digest(size)


@dataclass
class HubState:
    files: dict[str, bytes] = field(default_factory=dict)
    """What the hub serves, by path."""
    break_after: int | None = None
    """Bytes of each answer after which the connection breaks."""
    status: int = 200
    """Status of every answer to GET."""
    ranges: bool = True
    """Whether ranges are honoured."""
    asked: list[str | None] = field(default_factory=list)
    """The Range header of every GET."""


@contextmanager
def hub(state: HubState) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(200)
            self.end_headers()

        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            state.asked.append(wanted)
            data = state.files.get(self.path.removeprefix(f"/{REPO}/resolve/main/"))
            if data is None or state.status != 200:
                self.send_error(404 if data is None else state.status)
                return
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and state.ranges else 0
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
            self.send_header("Content-Length", str(len(data) - start))
            self.end_headers()
            end = len(data) if state.break_after is None else start + state.break_after
            self.wfile.write(data[start:end])

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def make_wheel(folder: Path, distribution: str, members: dict[str, bytes]) -> Path:
    """Write a wheel whose import would leave a mark: it must never be run."""
    name, version = distribution.split("==")
    name = name.replace("-", "_")
    info = f"{name}-{version}.dist-info"
    code = b"raise SystemExit('code of a downloaded wheel was run')\n"
    files = {
        f"{name}/__init__.py": code,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    } | members
    rows = [
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()},{len(data)}"
        for path, data in files.items()
    ]
    path = folder / f"{name}-{version}-py3-none-any.whl"
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for member, data in files.items():
            wheel.writestr(member, data)
        wheel.writestr(f"{info}/RECORD", "\n".join([*rows, f"{info}/RECORD,,"]) + "\n")
    return path


def model(name: str, data: dict[str, bytes], source: str, pieces: int = 1) -> ModelEntry:
    """Describe a model; source: `hub`, `registry` or `both`. In the registry, all files stand in the same wheels."""

    def describe(file: str, content: bytes) -> CatalogueFile:
        piece_bytes = PIECE if pieces > 1 else len(content)
        wheels = tuple(WheelPiece(f"{name}-part{n}", "1.0", member(name, n, file)) for n in range(1, pieces + 1))
        sources: dict[str, tuple[Source, ...]] = {
            "hub": (HubFile(REPO, file),),
            "registry": (WheelFile(wheels, piece_bytes),),
            "both": (HubFile(REPO, file), WheelFile(wheels, piece_bytes)),
        }
        return CatalogueFile(file, len(content), hashlib.sha256(content).hexdigest(), sources[source])

    files = tuple(describe(file, content) for file, content in data.items())
    return ModelEntry(name, Use.LLM, "MIT", "for tests", files)


def member(name: str, number: int, file: str) -> str:
    return f"{name}_part{number}/data/{file}.{number}"


def publish(folder: Path, name: str, data: dict[str, bytes], pieces: int = 1) -> list[Path]:
    """Put the wheels of a model into a registry folder."""
    paths = []
    for n in range(1, pieces + 1):
        cut = slice((n - 1) * PIECE, n * PIECE) if pieces > 1 else slice(None)
        members = {member(name, n, file): content[cut] for file, content in data.items()}
        paths.append(make_wheel(folder, f"{name}-part{n}==1.0", members))
    return paths
