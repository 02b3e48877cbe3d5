"""What can go wrong in a benchmark, in one tree.

BenchError             exit code 1: the environment, or the run
├── ReportError        a report or a plot cannot be written
├── ContenderFailed    a process that is compared ended, or gave no answer
└── BenchExtraMissing  what is needed beside the program is not installed
"""

from __future__ import annotations

from typing import ClassVar


class BenchError(Exception):
    """Root of the errors of benchmarks."""

    exit_code: ClassVar[int] = 1


class ReportError(BenchError):
    """A report or a plot cannot be written."""


class ContenderFailed(BenchError):
    """A process that is compared ended, or gave no answer."""


class BenchExtraMissing(BenchError):
    """What is needed beside the program is not installed."""
