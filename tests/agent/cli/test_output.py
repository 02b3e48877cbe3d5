"""Output that cannot be written, or cannot write a sign: one line, the right exit code, never an internal error."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, get_args, get_type_hints

import pytest

from agent.cli.main import app
from agent.conversation.timeline import Timeline, TurnEnded
from agent.conversation.transcript import Transcript
from agent.errors import TimelineError, TranscriptError
from tests.agent.command_line import Descant, descant, write_babbler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import typer

__all__ = ["descant"]

MAIN = "from agent.cli.main import main; main()"
QUICK = [["--help"], ["--version"], ["config", "show"], ["models", "list"], ["voices"], ["robot", "map"]]
ASK = ["--set", "engine.native=off", "--set", "loop.reply_tokens=8", "--set", "loop.think_tokens=8", "ask", "why?"]


def ended(line: str, home: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `descant` in a shell; {} in the line stands for it."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("DESCANT", "XDG"))}
    command = " ".join(f"'{word}'" for word in (sys.executable, "-c", MAIN, *arguments))
    return subprocess.run(
        ["/bin/bash", "-c", line.replace("{}", command)],
        capture_output=True,
        text=True,
        encoding="latin-1",
        env={**environment, "HOME": str(home), "DESCANT_MODELS__OFFLINE": "1", **variables},
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "line", "why"),
    [
        *((arguments, "{} > /dev/full", "No space left on device") for arguments in QUICK),
        (["config", "show"], "{} >&-", "Bad file desc"),
        (["models", "list"], "{} >&-", "Bad file desc"),
    ],
)
def test_output_that_takes_nothing_is_told_in_a_line(tmp_path: Path, arguments: list[str], line: str, why: str) -> None:
    done = ended(line, tmp_path, *arguments)
    assert done.returncode == 1
    assert re.fullmatch(rf"descant: standard output cannot be written: {why}.*\n", done.stderr)


def test_an_answer_that_cannot_be_written_is_told_in_a_line(tmp_path: Path) -> None:
    model = write_babbler(tmp_path / "babbler.gguf")
    done = ended("{} > /dev/full", tmp_path, *ASK, "--model", str(model))
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last == "descant: standard output cannot be written: No space left on device"
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [["config", "show"], ["models", "list"]], ids=" ".join)
def test_a_reader_that_leaves_is_no_error(tmp_path: Path, arguments: list[str]) -> None:
    done = ended("{} | true; exit ${PIPESTATUS[0]}", tmp_path, *arguments)
    assert done.returncode in (0, 1)
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "code"), [(["config", "nothing"], 2), (["--set", "a=1", "config", "show"], 2), (["--version"], 0)]
)
@pytest.mark.parametrize("line", ["{} 2> /dev/full", "{} 2>&- <&-"])
def test_without_standard_error_the_exit_code_stays(tmp_path: Path, arguments: list[str], code: int, line: str) -> None:
    assert ended(line, tmp_path, *arguments).returncode == code


@pytest.mark.parametrize(
    ("arguments", "encoding"),
    [(["voices"], "latin-1"), (["voices"], "ascii"), (["models", "list"], "latin-1"), (["config", "show"], "ascii")],
)
def test_signs_that_cannot_be_written_are_replaced(tmp_path: Path, arguments: list[str], encoding: str) -> None:
    done = ended("{}", tmp_path, *arguments, PYTHONIOENCODING=encoding, COLUMNS="60")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout) > 100
    assert "?" in done.stdout or arguments != ["voices"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["ask", "why?", "--timeline", "/dev/full"],
        ["talk", "--input", "q.wav", "--output", "/dev/full"],
        ["talk", "--save", "/dev/full"],
        ["talk", "--timeline", "/dev/full"],
        ["voices", "play", "piper-en-us-joe", "--output", "/dev/full"],
        ["models", "calibrate", "--output", "/dev/full"],
        ["robot", "simulate", "--draw", "/dev/full"],
    ],
    ids=" ".join,
)
def test_a_file_that_will_take_nothing_is_refused_before_the_work(descant: Descant, arguments: list[str]) -> None:
    done = descant(*arguments)
    assert (done.code, done.out) == (2, "")
    assert done.line == "descant: /dev/full: is a device, which keeps nothing; name another file.\n"


def test_a_disk_without_room_is_refused_before_the_work(descant: Descant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Room", (), {"free": 1000}))
    done = descant("ask", "why?", "--timeline", "t.jsonl")
    assert done.code == 2
    assert "there is no room on its disk" in done.line


@pytest.mark.parametrize("name", ["/dev/null", "t.jsonl"])
def test_other_files_are_taken(descant: Descant, name: str) -> None:
    assert "there is no model file" in descant("ask", "why?", "--model", "./none.gguf", "--timeline", name).line


def test_a_disk_that_gets_full_meanwhile_is_told_of_the_file() -> None:
    with (
        pytest.raises(TimelineError, match="/dev/full cannot be written: No space left"),
        Timeline(Path("/dev/full")) as written,
    ):
        written.write(0.0, TurnEnded("words \ud83d"))
    with (
        pytest.raises(TranscriptError, match="/dev/full cannot be written: No space left"),
        Transcript(Path("/dev/full")) as said,
    ):
        said.write(0.0, TurnEnded("words \ud83d"))


def commands(of: typer.Typer, *path: str) -> Iterator[tuple[list[str], Callable[..., object]]]:
    """Every command that is not of another distribution, with the words that call it."""
    for one in of.registered_commands:
        assert one.callback is not None
        yield [*path, one.name or one.callback.__name__.replace("_", "-")], one.callback
    for group in of.registered_groups:
        assert group.typer_instance is not None
        if group.name != "bench":
            yield from commands(group.typer_instance, *path, str(group.name))


NUMBERS = [
    (path, next(word for word in (*mark.param_decls, f"--{name.replace('_', '-')}") if word.startswith("--")))
    for path, callback in commands(app)
    for name, hint in get_type_hints(callback, include_extras=True).items()
    for mark in getattr(hint, "__metadata__", ())
    if {int, float} & {hint.__origin__, *get_args(hint.__origin__)}
]


def test_there_are_options_that_take_numbers() -> None:
    assert {option for _, option in NUMBERS} >= {"--seed", "--port", "--speed", "--pitch", "--seconds", "--max-seconds"}


@pytest.mark.parametrize("value", ["nan", f"{10**30}", f"-{10**30}"])
@pytest.mark.parametrize(("path", "option"), NUMBERS, ids=str)
def test_every_option_that_takes_a_number_has_a_range(
    descant: Descant, path: list[str], option: str, value: str
) -> None:
    needed = {"ask": ["why?"], "play": ["piper-en-us-joe"]}.get(path[-1], [])
    done = descant(*path, *needed, option, value)
    assert done.code == 2
    assert "is not allowed: from" in done.err or "Invalid value for" in done.err
    assert "internal error" not in done.err
