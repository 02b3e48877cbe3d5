"""The structure of the tree: folders to take in at a glance, arrows that run one way, names that are unique."""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[1]
PRODUCT: Final = ("agent", "audio", "descant", "languages", "reasoning", "robots")
MOST_MODULES: Final = 15


@cache
def modules(*rooms: str) -> dict[str, ast.Module]:
    """Syntax trees by the names of the modules."""
    found = {}
    for path in sorted(path for room in rooms for path in (ROOT / room).rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        found[name] = ast.parse(path.read_text(encoding="utf-8"))
    return found


def imports(name: str, tree: ast.Module, known: dict[str, ast.Module]) -> set[str]:
    """Modules of ours that a module imports anywhere, for its types only too."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            package = name.rsplit(".", node.level)[0] + "." if node.level else ""
            found |= {f"{package}{node.module}", *(f"{package}{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {other for other in found if other in known and other != name}


def circles(arrows: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules each of which reaches the others: the strongly connected components, by two searches."""
    order: list[str] = []
    seen: set[str] = set()

    def visit(start: str, to: dict[str, set[str]], found: list[str]) -> None:
        stack = [(start, iter(sorted(to[start])))]
        seen.add(start)
        while stack:
            here, rest = stack[-1]
            there = next((one for one in rest if one not in seen), None)
            if there is None:
                stack.pop()
                found.append(here)
            else:
                seen.add(there)
                stack.append((there, iter(sorted(to[there]))))

    for name in arrows:
        if name not in seen:
            visit(name, arrows, order)
    back: dict[str, set[str]] = {name: set() for name in arrows}
    for name, others in arrows.items():
        for other in others:
            back[other].add(name)
    seen.clear()
    groups: list[list[str]] = []
    for name in reversed(order):
        if name not in seen:
            groups.append([])
            visit(name, back, groups[-1])
    return [sorted(group) for group in groups if len(group) > 1]


def test_no_folder_has_more_modules_than_fit_on_a_screen() -> None:
    rooms = (*PRODUCT, "bench", "deploy", "tests")
    counts = Counter(
        path.parent for room in rooms for path in (ROOT / room).rglob("*.py") if path.name != "__init__.py"
    )
    assert {str(folder.relative_to(ROOT)): n for folder, n in counts.items() if n > MOST_MODULES} == {}


def test_no_modules_import_each_other_in_a_circle() -> None:
    known = modules(*PRODUCT, "bench")
    assert circles({name: imports(name, tree, known) for name, tree in known.items()}) == []


def test_a_circle_is_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set()}) == [["a", "b", "c"]]


@pytest.mark.parametrize(
    ("of", "never"),
    [
        (("audio", "reasoning", "robots"), ("agent", "descant")),
        (("languages",), ("agent", "audio", "descant", "reasoning", "robots")),
        (PRODUCT, ("bench", "tests", "deploy")),
        (("bench",), ("tests", "deploy")),
    ],
)
def test_arrows_run_one_way(of: tuple[str, ...], never: tuple[str, ...]) -> None:
    known = modules(*PRODUCT, "bench", "tests", "deploy")
    taken = {(name, other) for name, tree in modules(*of).items() for other in imports(name, tree, known)}
    # The root of all errors, what a number may be and what JSON is: all that rooms take from the library's door.
    allowed = {"descant", "descant.errors", "descant.ranges", "descant.sound_json"}
    assert {(name, other) for name, other in taken if other.split(".")[0] in never and other not in allowed} == set()


def test_no_module_of_robots_but_an_adapter_and_the_simulator_knows_a_wire_format() -> None:
    known = modules(*PRODUCT)
    arrows = {name: imports(name, tree, known) for name, tree in known.items()}
    takers: dict[str, set[str]] = defaultdict(set)
    for name, others in arrows.items():
        for other in others:
            if other.startswith("robots.protocols.") and not name.startswith(
                ("robots.protocols.", "robots.simulator.")
            ):
                takers[other].add(name.split(".")[0])
    # What an adapter is, and which one the settings name: neither says a word of any protocol.
    assert set(takers) <= {"robots.protocols.contract", "robots.protocols.reach"}
    assert takers["robots.protocols.reach"] == {"agent"}
    # Not by a way around, either: what the core and the agent's side of it reach by imports holds no wire format.
    for start in ("robots.session", "robots.port", "robots.core.robot", "robots.safety.gate", "robots.skills"):
        assert {name for name in reached(start, arrows) if ".vda5050" in name or ".transport" in name} == set(), start


def test_the_rooms_of_robots_lie_one_above_the_other() -> None:
    known = modules(*PRODUCT)
    floors = {"facts": 0, "terms": 1, "safety": 2, "core": 3, "protocols": 4, "simulator": 5}
    up = {
        (name, other)
        for name, tree in modules("robots").items()
        for other in imports(name, tree, known)
        if (here := floors.get(name.split(".")[1:2][0] if "." in name else "")) is not None
        and other.startswith("robots.")
        and floors.get(other.split(".")[1], -1) > here
    }
    assert up == set()


def reached(start: str, arrows: dict[str, set[str]]) -> set[str]:
    """Every module that a module imports, or that one of those imports."""
    found, waiting = set[str](), [start]
    while waiting:
        new = arrows[waiting.pop()] - found
        found |= new
        waiting += new
    return found


def test_nothing_imports_the_command_line() -> None:
    known = modules(*PRODUCT, "bench")
    takers = {
        name
        for name, tree in known.items()
        if any(other.startswith("agent.cli") for other in imports(name, tree, known))
    }
    # bench.cli is a part of the command line, from another distribution.
    assert {name for name in takers if not name.startswith("agent.cli")} == {"bench.cli"}


def test_every_class_has_a_name_of_its_own() -> None:
    where: dict[str, list[str]] = defaultdict(list)
    for name, tree in modules(*PRODUCT, "bench").items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                where[node.name].append(name)
    assert {name: places for name, places in where.items() if len(places) > 1} == {}
