"""Hints are to be followed as they are printed: what is a command is read by the command line's own parser."""

from __future__ import annotations

import ast
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest
import typer
from rich.text import Text

from agent.apps.doctor import Finding, Verdict
from agent.apps.printing import plain_console
from agent.cli.doctor import show
from agent.cli.main import app
from audio.speaking.voices import PACKAGES

ROOT: Final = Path(__file__).parents[3]
ROOMS: Final = ("agent", "audio", "descant", "languages", "reasoning", "robots")
EXTRAS: Final = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
COMMAND: Final = re.compile(r"`(descant [^`]+)`|(?:^|: )((?:descant|pip install) [^;,]*?)(?:$|[;,]|\.$|\)| or )")


def written() -> set[tuple[str, str]]:
    """Commands in strings of the product that are no docstrings, with the files that they stand in."""
    found = set()
    for path in sorted(
        path for room in ROOMS for path in (ROOT / room).rglob("*.py") if "vllm_plugin" not in path.parts
    ):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if id(node) in parts | alone:
                continue
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = node.value
            elif isinstance(node, ast.JoinedStr):
                text = "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in node.values)
            else:
                continue
            for quoted, bare in COMMAND.findall(" ".join(text.split())):
                # `descant x` is the line that tells the version.
                if quoted + bare != "descant x":
                    found.add((str(path.relative_to(ROOT)), (quoted or bare).strip()))
    return found


HINTS: Final = sorted(written())


def read(command: Any, arguments: list[str]) -> None:  # noqa: ANN401 - click's classes are typer's own
    """Parse a command as the command line does, and run nothing."""
    context = command.make_context("descant", list(arguments), resilient_parsing=False)
    rest = [*getattr(context, "_protected_args", ()), *context.args]
    if hasattr(command, "resolve_command") and rest:
        _, inner, inner_arguments = command.resolve_command(context, rest)
        read(inner, inner_arguments)


def test_there_are_hints_of_both_kinds() -> None:
    assert len({hint for _, hint in HINTS if hint.startswith("descant ")}) >= 15
    assert len({hint for _, hint in HINTS if hint.startswith("pip ")}) >= 6


@pytest.mark.parametrize(("file", "hint"), HINTS, ids=str)
def test_every_command_that_a_hint_names_is_one(file: str, hint: str) -> None:
    assert file
    program, *arguments = shlex.split(hint)
    if program == "descant":
        read(typer.main.get_command(app), arguments)
        return
    assert arguments[0] == "install"
    for wanted in arguments[1:]:
        for extra in re.findall(r"descant\[(.*)\]", wanted):
            assert extra in EXTRAS or extra == "x"


def test_a_command_that_is_none_is_found() -> None:
    with pytest.raises(Exception, match="No such"):
        read(typer.main.get_command(app), ["models", "fetch"])
    with pytest.raises(Exception, match="No such option"):
        read(typer.main.get_command(app), ["ask", "why?", "--voice", "x"])


def test_extras_of_voices_are_there() -> None:
    assert {extra for _, _, extra in PACKAGES.values()} <= EXTRAS.keys()


@pytest.mark.parametrize("columns", ["40", "80", "200"])
def test_doctor_prints_hints_that_can_be_copied(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    mends = (
        "pip install 'descant[desktop]'",
        "files work; for a microphone: pip install 'descant[desktop]'",
        "descant models pull qwen2.5-coder-1.5b, and a long text that no terminal of 40 columns holds",
        "[/red] :smile: [bold]x",
    )
    monkeypatch.setenv("COLUMNS", columns)
    show([Finding(f"part {number}", Verdict.BAD, "[no]", mend) for number, mend in enumerate(mends)])
    printed = capsys.readouterr().out
    for number, mend in enumerate(mends):
        assert f"to mend part {number}: {mend}" in printed.splitlines()
    assert printed.count("[no]") == len(mends)


def test_text_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    console = plain_console()
    for text in ("pip install 'descant[desktop]'", "[/x]", ":warning:", "[red]a[/red]"):
        console.print(text, soft_wrap=True)
        console.print(Text(text), soft_wrap=True)
        assert capsys.readouterr().out == f"{text}\n{text}\n"


def test_programs_print_on_that_console_alone() -> None:
    makers = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "agent").rglob("*.py")
        if re.search(r"\bConsole\(", path.read_text(encoding="utf-8"))
    }
    assert makers == {"agent/apps/printing.py"}
