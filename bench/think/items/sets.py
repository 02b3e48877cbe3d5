"""All questions that `descant bench think` can ask, by the names of their tasks, wherever they come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agent.errors import BadQuestion
from bench.think.items import everyday, generated, public

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bench.think.items.question import Split, TaskQuestion

SETS: Final[Mapping[str, tuple[str, ...]]] = {
    "generated": tuple(generated.TASKS),
    "public": tuple(public.PUBLIC),
    "everyday": everyday.kinds(),
    "told": (
        "gsm_symbolic",
        "navigate",
        "web_of_lies",
        "logical_deduction_three_objects",
        "tracking_shuffled_objects_three_objects",
        "date_understanding",
    ),
}
"""Tasks by the sets that they belong to; the name of a set stands for all of its tasks. `told` has those of generated
and public ones whose questions are told in several sentences."""


def named(names: list[str]) -> list[str]:
    """Give the tasks that are meant: those of a set in its place.

    Raises:
        BadQuestion: there is no such task.

    """
    found = [task for name in names for task in SETS.get(name, (name,))]
    known = {task for of in SETS.values() for task in of}
    for name in found:
        if name not in known:
            sets = "; ".join(f"{name}: {', '.join(of)}" for name, of in SETS.items())
            raise BadQuestion(f"there is no task {name!r}; there are {sets}.")
    return list(dict.fromkeys(found))


def items(task: str, split: Split, count: int, folder: Path | None) -> list[TaskQuestion]:
    """Give the first `count` items of a task's split, always the same ones; `folder` has the public ones.

    Raises:
        BadQuestion: a public task's questions are not there.
        BenchExtraMissing: reasoning-gym is not installed.

    """
    if task in public.PUBLIC:
        return public.items(task, split, count, folder)
    if task in SETS["everyday"]:
        return everyday.items(task, split, count)
    return generated.items(task, split, count)
