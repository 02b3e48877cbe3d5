"""What can go wrong in reasoning, in one tree.

ReasoningError                exit code 1: the environment, or the run
├── BadModel                  exit code 2: a model file that is broken, or of a kind that is not supported
├── BadProfile                exit code 2: a file of model profiles that is broken, or has a field or value unknown
├── BadTool                   exit code 2: a tool whose name, schema or grammar cannot be used
├── BlockBusy                 a block that a stream writes was to be written by another
├── ContextFull               a view would hold more tokens than the model reads
├── DeviceUnavailable         exit code 2: the engine is set to a device that is not there, or cannot compute
├── EngineFailed              a step could not be computed (out of memory, the engine is closed, no server answers)
├── NativeUnavailable         the engine's own kernels are required and cannot be had
└── StoreError                models on disk
    ├── UnknownModel          exit code 2: a name that the catalogue does not have
    ├── ModelUnavailable      no source could give a file
    ├── WrongChecksum         a file is not the one that the catalogue names
    ├── DiskFull              there is no room for a model
    ├── StoreDenied           the cache cannot be read or written
    └── SourceFailed          one source could not give a file (the store goes on to the next)
"""

from __future__ import annotations

from typing import ClassVar

from descant.errors import DescantError


class ReasoningError(DescantError):
    """Root of the room's errors."""


class BadModel(ReasoningError):
    """A model file that is broken, or of a kind that is not supported."""

    exit_code: ClassVar[int] = 2


class BadProfile(ReasoningError):
    """A file of model profiles that is broken, or has a field or a value that is not known."""

    exit_code: ClassVar[int] = 2


class BadTool(ReasoningError):
    """A tool whose name, schema or grammar cannot be used."""

    exit_code: ClassVar[int] = 2


class BlockBusy(ReasoningError):
    """A block has one writer at a time."""


class ContextFull(ReasoningError):
    """A view would hold more tokens than the model reads."""


class DeviceUnavailable(ReasoningError):
    """The engine is set to a device that is not there, or cannot compute."""

    exit_code: ClassVar[int] = 2


class EngineFailed(ReasoningError):
    """A step could not be computed."""


class NativeUnavailable(ReasoningError):
    """The engine's own kernels cannot be compiled or loaded here."""


class StoreError(ReasoningError):
    """Models on disk: fetching, checking, keeping."""


class UnknownModel(StoreError):
    """The catalogue does not have this name."""

    exit_code: ClassVar[int] = 2


class ModelUnavailable(StoreError):
    """No source could give the file."""


class WrongChecksum(StoreError):
    """The bytes are not those that the catalogue names."""


class DiskFull(StoreError):
    """There is no room for the model."""


class StoreDenied(StoreError):
    """The cache cannot be read or written."""


class SourceFailed(StoreError):
    """One source could not give a file; the store goes on to the next."""
