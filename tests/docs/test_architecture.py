"""docs/architecture.md names files, classes and functions: all of them are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
NAMED: Final = sorted(set(re.findall(r"`([a-z_]+/[\w/.]*?)(?::([\w.]+))?`", PAGE)))


def defined(tree: ast.AST, name: str) -> bool:
    """Whether a module defines `name`, or `Class.method`."""
    first, _, rest = name.partition(".")
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.name == first:
            return not rest or defined(node, rest)
    return False


def test_the_page_names_places() -> None:
    assert sum(1 for _, name in NAMED if name) >= 20


@pytest.mark.parametrize(("path", "name"), NAMED, ids=lambda part: part or "-")
def test_what_the_page_names_is_there(path: str, name: str) -> None:
    assert (ROOT / path).exists(), path
    if name and path.endswith(".py"):
        assert defined(ast.parse((ROOT / path).read_text(encoding="utf-8")), name), f"{path}:{name}"


def test_a_name_that_is_not_there_is_found() -> None:
    tree = ast.parse("class A:\n    def b(self): ...\ndef c(): ...")
    assert [defined(tree, name) for name in ("A", "A.b", "c", "d", "A.c", "c.b")] == [
        True,
        True,
        True,
        False,
        False,
        False,
    ]
