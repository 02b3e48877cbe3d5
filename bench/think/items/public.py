"""Questions that others wrote: tasks of BIG-Bench Hard (MIT), worded for the ear, read from a folder of the user's.

Their files (suzgunmirac/BIG-Bench-Hard, `bbh/NAME.json`) hold {"examples": [{"input", "target"}]}. The first hundred of
each are for development, the rest to report on. `navigate`, `web_of_lies`, `object_counting` and `formal_fallacies` are
the four tasks of Big Bench Audio. Left out: `boolean_expressions`, whose brackets cannot be spoken, and
`causal_judgement`, stories of some two hundred words.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

from agent.errors import BadQuestion
from bench.think.items.question import TaskQuestion
from bench.think.scoring import stated

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from bench.think.items.question import Kind, Split

_DEVELOPED: Final = 100
_LARGEST: Final = 4_000_000
"""Bytes of a file that is read; the largest of the publisher's has 190 kB."""
_OPTIONS: Final = re.compile(r"\s*\nOptions:\n(.*)$", re.DOTALL)
_OPTION: Final = re.compile(r"^\(([A-Z])\) (.*?)\s*$", re.MULTILINE)
_YES_NO: Final = (("No", r"\bno\b(?=\s*[,.;:!]|\s*$)"), ("Yes", r"\byes\b"))


@dataclass(frozen=True, slots=True)
class PublicTask:
    """How the questions of one file are said, and what its answers are."""

    kind: Kind
    word: Callable[[str], str] = str
    """Words a question, whose options were taken off, for the ear."""
    claims: tuple[tuple[str, str], ...] = ()
    """As those of `TaskQuestion`."""
    listed: Callable[[str, Sequence[str]], str] | None = None
    """Says a question with its options; None: they are not said."""
    option: Callable[[str], str] = str
    """What of an option answers the question."""


def _or(options: Sequence[str]) -> str:
    return f"{', '.join(options[:-1])}, or {options[-1]}"


def _ordered(text: str, options: Sequence[str]) -> str:
    """Ask which of the objects is at the place that every option names."""
    story = text.rsplit("within each paragraph. ", maxsplit=1)[-1]
    place = re.sub(r"^.*?\b(?:is|are)\s+|^.*?\b(?=finished\b)", "", options[0]).rstrip(".")
    asked = f"Who {place}" if place.startswith("finished") else f"Which is {place}"
    return f"{story} {asked}: {_or([_object(option) for option in options])}?"


def _object(option: str) -> str:
    return re.sub(r"^The (?=[a-z])", "the ", re.split(r"\s+(?:is|are|finished)\s+", option)[0])


PUBLIC: Final[Mapping[str, PublicTask]] = {
    "navigate": PublicTask(
        "claim",
        claims=(
            ("No", rf"{_YES_NO[0][1]}|\b(?:not|n't|never)\b[^.,;]*\b(?:return|back|end up|starting)"),
            ("Yes", r"\byes\b|\b(?:you|we|I)\b[^.,;?]*\b(?:returns?|(?:are|am|is|end up) back|end(?:s)? up at)\b"),
        ),
    ),
    "web_of_lies": PublicTask(
        "claim",
        lambda text: text.removeprefix("Question: "),
        (
            (
                "No",
                rf"{_YES_NO[0][1]}|\b(?:not|n't) (?:tell|speak)\w* the truth|\b(?:lies|is lying|liar)\b",
            ),
            ("Yes", r"\byes\b|\b(?:tells?|telling) the truth\b"),
        ),
    ),
    "object_counting": PublicTask("number"),
    "formal_fallacies": PublicTask(
        "claim",
        lambda text: re.sub(r'"[ \t]*', "", text),
        (("invalid", r"\b(?:invalid|not(?: \w+)? valid|isn't valid)\b"), ("valid", r"\bvalid\b")),
    ),
    "sports_understanding": PublicTask(
        "claim",
        lambda text: text.replace('"', ""),
        (
            ("no", rf"{_YES_NO[0][1]}|\b(?:not|n't)(?: \w+)? plausible|\bimplausible"),
            ("yes", r"\byes\b|\bplausible\b"),
        ),
    ),
    "date_understanding": PublicTask("date", lambda text: re.sub(r" in MM/DD/YYYY", "", text)),
    "logical_deduction_three_objects": PublicTask("option", listed=_ordered, option=_object),
    "tracking_shuffled_objects_three_objects": PublicTask(
        "option", listed=lambda text, options: f"{text}: {_or([option.rstrip('.') for option in options])}?"
    ),
}


def items(task: str, split: Split, count: int, folder: Path | None) -> list[TaskQuestion]:
    """Give the first `count` questions of a file's split.

    Raises:
        BadQuestion: there is no folder, or no such file in it, or it has no questions of that split.

    """
    if folder is None:
        raise BadQuestion(f"{task}: its questions are read from a folder of yours: name it with --questions.")
    path = next((path for path in (folder / f"{task}.json", folder / "bbh" / f"{task}.json") if path.is_file()), None)
    if path is None:
        raise BadQuestion(f"there is no {task}.json in {folder}; BIG-Bench Hard has it in its folder bbh.")
    examples = _examples(path)
    found = list(islice(_worded(task, examples, split), count))
    if count and not found:
        raise BadQuestion(
            f"{path} has no {split} questions: dev are the first {_DEVELOPED} of its {len(examples)}, test the rest."
        )
    return found


def _examples(path: Path) -> list[tuple[str, str]]:
    try:
        size = path.stat().st_size
        if size > _LARGEST:
            raise BadQuestion(f"{path}: {size:,} bytes; no file of BIG-Bench Hard has more than {_LARGEST:,}.")
        return [(str(one["input"]), str(one["target"])) for one in json.loads(path.read_text("utf-8"))["examples"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadQuestion(f"{path}: no examples of BIG-Bench Hard can be read from it ({error}).") from error


def _worded(name: str, examples: Sequence[tuple[str, str]], split: Split) -> Iterator[TaskQuestion]:
    task = PUBLIC[name]
    chosen = examples[:_DEVELOPED] if split == "dev" else examples[_DEVELOPED:]
    for number, (text, target) in enumerate(chosen, 0 if split == "dev" else _DEVELOPED):
        listed = _OPTIONS.search(text)
        letters = dict(_OPTION.findall(listed[1])) if listed else {}
        asked, options = task.word(_OPTIONS.sub("", text)), list(letters.values())
        if task.listed is not None:
            asked = task.listed(asked, options)
        answer = letters.get(target.strip("()"), target)
        item = TaskQuestion(
            name,
            number,
            re.sub(r"\s+", " ", re.sub(r"\s*\(([^()]*)\)", r", \1,", asked)).replace(",.", ".").strip(),
            task.option(answer).rstrip("."),
            task.kind,
            options=tuple(task.option(option).rstrip(".") for option in options) if task.kind == "option" else (),
            claims=task.claims,
        )
        if task.kind == "date":
            # The answer in the form of its kind; some options are no dates.
            date = stated(answer, item)
            if date is None:
                continue
            item = TaskQuestion(name, number, item.question, date, task.kind)
        yield item
