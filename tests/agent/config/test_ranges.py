"""Every number in the settings has a range with its reason, whichever way it comes in."""

from __future__ import annotations

import math
from itertools import product
from pathlib import Path
from typing import Any

import pytest

import descant as library
from agent.config.settings import Settings, load, render
from agent.errors import ConfigError
from descant.ranges import Range, limits, numbers, ranges
from tests.agent.command_line import Descant, descant

__all__ = ("descant",)

GROUPS: dict[str, Any] = {group: field.annotation for group, field in Settings.model_fields.items()}
NUMBERS = sorted((group, name) for group, options in GROUPS.items() for name in numbers(options))
TOKENS = ("loop.think_tokens", "loop.reply_tokens")


def allowed(group: str, name: str) -> Range:
    return ranges(GROUPS[group])[name]


def beside(group: str, name: str, *, most: bool) -> dict[str, object]:
    """What has to be set as well, so that a number can be the most or the least that it may be."""
    also: dict[str, object] = {}
    for lower, marks in limits(GROUPS[group]).items():
        for mark in marks:
            if most and lower == name:
                also |= {f"{group}.{mark.other}": allowed(group, mark.other).most} | beside(
                    group, mark.other, most=most
                )
            if not most and mark.other == name:
                also |= {f"{group}.{lower}": allowed(group, lower).least} | beside(group, lower, most=most)
    if (group, name) == ("engine", "context"):
        also |= dict.fromkeys(TOKENS, 1)
    if f"{group}.{name}" in TOKENS:
        also["engine.context"] = allowed("engine", "context").most
    return also


def test_there_are_numbers() -> None:
    assert len(NUMBERS) > 60


@pytest.mark.parametrize("group", GROUPS)
def test_every_number_has_a_range_and_the_reason(group: str) -> None:
    declared = ranges(GROUPS[group])
    assert declared.keys() == numbers(GROUPS[group])
    for name, one in declared.items():
        assert math.isfinite(one.least), name
        assert one.least < one.most < math.inf, name
        assert len(one.why) > 10, name
        assert not one.why.endswith("."), name


@pytest.mark.parametrize(("group", "name"), NUMBERS)
def test_what_is_outside_is_refused_in_a_line_with_name_value_range_and_reason(group: str, name: str) -> None:
    one, key = allowed(group, name), f"{group}.{name}"
    whole = isinstance(one.least, int)
    step = 1 if whole else 1e-6
    for value in (one.least - step, one.most + step, -(10.0**30), 10**30):
        with pytest.raises(ConfigError) as caught:
            load(overrides={key: value})
        told = str(caught.value)
        assert told.startswith(f"{key} = "), told
        assert "\n" not in told
        if abs(value) < 10**18:
            assert f"(command line) is not allowed: from {one}, since {one.why}." in told
    for odd in (math.nan, math.inf, -math.inf, "nan", "inf", "-Infinity", True, None if not whole else 10**400):
        if odd is not None:
            with pytest.raises(ConfigError, match=rf"^{key} = "):
                load(overrides={key: odd})


@pytest.mark.parametrize(("group", "name"), NUMBERS)
def test_what_is_inside_and_on_the_borders_is_allowed(group: str, name: str) -> None:
    one, key = allowed(group, name), f"{group}.{name}"
    for value, most in ((one.least, False), (one.most, True)):
        loaded = load(overrides={**beside(group, name, most=most), key: value})
        assert getattr(getattr(loaded.settings, group), name) == value


@pytest.mark.parametrize(
    ("group", "lower", "upper"),
    [
        (group, lower, mark.other)
        for group, cls in GROUPS.items()
        for lower, marks in limits(cls).items()
        for mark in marks
    ],
)
def test_a_number_that_may_not_be_more_than_another_is_refused_where_it_is(group: str, lower: str, upper: str) -> None:
    values = {f"{group}.{lower}": allowed(group, lower).most, f"{group}.{upper}": allowed(group, upper).least}
    with pytest.raises(ConfigError, match=r"is not allowed: at most [a-z_]+, which is [\d.]+, since "):
        load(overrides=values)
    assert limits(GROUPS[group])


def test_thoughts_and_reply_must_fit_the_context() -> None:
    with pytest.raises(ConfigError, match=r"^engine\.context = 600 \(command line\) is not allowed: at least .* = 816"):
        load(overrides={"engine.context": 600})
    with pytest.raises(ConfigError, match=r"^engine\.context = 8192 \(command line\) .* = 9496, since"):
        load(overrides={"loop.think_tokens": 9000})


WAYS = ("file", "environment", "--set")


@pytest.mark.parametrize(
    ("way", "key", "value"),
    [
        *((way, "voice.speed", "0") for way in WAYS),
        *((way, "ears.speech_on", "2") for way in WAYS),
        *((way, "ears.speech_on", "nan") for way in WAYS),
        *(
            ("--set", *case)
            for case in [("server.max_sessions", "-3"), ("loop.turn_s", "-1"), ("ears.hard_end_ms", "-5")]
        ),
        *(("--set", "engine.context", value) for value in ("-1", "0", str(10**12), "9" * 400, "9" * 5000)),
        *((way, "engine.context", "9" * 5000) for way in ("file", "environment")),
        ("file", "engine.context", "[" * 3000),
        ("file", "engine.threads", "true"),
    ],
)
def test_it_is_checked_whichever_way_it_comes_in(
    descant: Descant, monkeypatch: pytest.MonkeyPatch, way: str, key: str, value: str
) -> None:
    group, _, name = key.partition(".")
    match way:
        case "file":
            Path("own.toml").write_text(f"[{group}]\n{name} = {value}\n")
            arguments = ["--config", "own.toml"]
        case "environment":
            monkeypatch.setenv(f"DESCANT_{group}__{name}".upper(), value)
            arguments = []
        case _:
            arguments = ["--set", f"{key}={value}"]
    for command in (["config", "show"], ["ask", "hello"]):
        done = descant(*arguments, *command)
        assert (done.code, done.out) == (2, "")
        assert name in done.line or "own.toml" in done.line


@pytest.mark.parametrize(("key", "value"), [("voice.speed", 0), ("ears.speech_on", math.nan), ("loop.turn_s", -1)])
async def test_the_library_checks_before_it_loads_anything(key: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"^{key} = .* \(keyword argument\) is not allowed: from"):
        async with library.open(model="no/such/model.gguf", settings={key: value}):
            pass


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        (["voices", "play", "piper-en-us-joe", "--speed", "0"], "voice.speed"),
        (["voices", "play", "piper-en-us-joe", "--speed", "nan"], "voice.speed"),
        (["voices", "play", "piper-en-us-joe", "--pitch", "9"], "voice.pitch"),
        (["serve", "--max-sessions", "-3"], "server.max_sessions"),
        (["serve", "--max-sessions", "0"], "server.max_sessions"),
    ],
)
def test_options_of_commands_are_held_to_the_same(descant: Descant, arguments: list[str], key: str) -> None:
    done = descant(*arguments)
    assert done.code == 2
    assert done.line.startswith(f"descant: {key} = ")
    assert "is not allowed: from" in done.line


def test_ranges_are_shown_beside_the_settings() -> None:
    text = render(load())
    for group, name in NUMBERS:
        one = allowed(group, name)
        assert f"# From {one}: {one.why}." in text
    assert "# At most speech_on: " in text


def test_every_pair_of_borders_reads_as_a_range() -> None:
    assert [str(Range(*pair, "")) for pair in product((0, 0.001), (1.0, 1048576))] == [
        *("0 to 1", "0 to 1048576"),
        *("0.001 to 1", "0.001 to 1048576"),
    ]
