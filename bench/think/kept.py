"""Conversations of a long run in a file, a line each as it is finished: a run that is begun again has them already.

The first line tells what they were measured with. A line that was cut off, as by a full disk or a killed run, is
measured again.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from threading import Lock
from typing import TYPE_CHECKING, Any

from bench.errors import ReportError
from bench.think.metrics import Sample
from bench.virtual.simulation import StreamPace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from bench.think.scenarios import ScenarioPlan
    from bench.think.think import Row


class KeptSamples:
    """The file, and what stood in it."""

    def __init__(self, file: Path, settings: Mapping[str, Any]) -> None:
        """Read the file, or begin it. Raises ReportError: other settings, another file, or not to be written."""
        self._file, self._lock, self._whole = file, Lock(), False
        """Whether the file surely ends with a whole line."""
        self._samples: dict[tuple[str, ...], Sample] = {}
        head: dict[str, Any] = {"bench": "think", "settings": _plain(settings)}
        lines = kept_lines(file)
        if not lines:
            self._whole = True
            self._append(head)
            return
        if lines[0] != head:
            differ = [name for name in {**head["settings"], **lines[0]["settings"]}
                      if head["settings"].get(name) != lines[0]["settings"].get(name)]  # fmt: skip
            raise ReportError(
                f"{file}: its conversations were measured with other settings ({', '.join(sorted(differ))}); "
                "name another file"
            )
        for line in lines[1:]:
            sample = _sample(line)
            self._samples[_key(sample)] = sample

    def found(self, jobs: Sequence[tuple[Row, ScenarioPlan]]) -> dict[tuple[str, ScenarioPlan], Sample]:
        """Give those of the jobs that are done."""
        return {
            (row.name, plan): self._samples[key]
            for row, plan in jobs
            if (key := (row.name, plan.scenario, plan.item.task, str(plan.item.number), plan.asked.question))
            in self._samples
        }

    def keep(self, sample: Sample) -> None:
        """Append one; from any thread."""
        self._append(asdict(sample))

    def _append(self, line: Mapping[str, Any]) -> None:
        try:
            with self._lock, self._file.open("a", encoding="utf-8") as file:
                # Behind a line that was cut off, too.
                file.write(f"{'' if self._whole else chr(10)}{json.dumps(line)}\n")
                self._whole = True
        except OSError as error:
            raise ReportError(f"{self._file} cannot be written: {error}; name another file.") from error


def kept_lines(file: Path) -> list[dict[str, Any]]:
    """Give what stands in such a file, the head first; nothing where there is none.

    Raises:
        ReportError: it is another file.

    """
    try:
        text = file.read_text(encoding="utf-8") if file.exists() else ""
    except (OSError, ValueError) as error:
        raise ReportError(f"{file} cannot be read: {error}; name another file.") from error
    lines: list[dict[str, Any]] = []
    for line in text.splitlines():
        try:
            read = json.loads(line)
        except ValueError:
            # Cut off: what was to be kept there is measured again.
            continue
        if isinstance(read, dict):
            lines.append(read)
    if text and (not lines or lines[0].get("bench") != "think"):
        raise ReportError(f"{file}: no kept conversations of `descant bench think`; name another file.")
    return lines


def _key(sample: Sample) -> tuple[str, ...]:
    return sample.row, sample.scenario, sample.task, str(sample.number), sample.question


def _sample(line: Mapping[str, Any]) -> Sample:
    sample = Sample(**line)
    sample.paces = {name: StreamPace(**pace) for name, pace in line["paces"].items()}
    return sample


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Give settings as they are read again."""
    read: dict[str, Any] = json.loads(json.dumps(settings, default=str))
    return read
