"""What the decoder needs of a model on disk, whatever its format: a shape, and tensors by name.

Names, shapes and the order of rows are those of GGUF files. Knows no format.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from reasoning.formats.gguf import TensorInfo

Kind = TypeVar("Kind", bool, int, float, str)


class ModelFile(Protocol):
    """An open model."""

    @property
    def path(self) -> Path:
        """The file or folder; errors name it."""
        ...

    @property
    def tensors(self) -> Mapping[str, TensorInfo]:
        """All tensors by name."""
        ...

    @property
    def architecture(self) -> str:
        """The model family, such as `llama` or `qwen2`."""
        ...

    def raw(self, name: str) -> NDArray[np.uint8]:
        """Give the tensor's bytes; `BadModel` where there is no such tensor."""
        ...

    def value(self, key: str, kind: type[Kind], default: Kind | None = None) -> Kind:
        """Give the scalar under `key`; `BadModel` where it is of another kind, or missing with no default."""
        ...

    def give_back(self) -> None:
        """Let the system take back the memory of bytes that were read; they can be read again."""
        ...
