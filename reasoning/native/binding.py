"""The functions of one compiled library of kernels, as Python calls them."""

from __future__ import annotations

import ctypes
from pathlib import Path
from threading import Lock
from typing import Final

from reasoning.errors import NativeUnavailable
from reasoning.native.instruction_sets import Name


class Library:
    """The compiled kernels, and a pool of threads for each number of threads that was asked for."""

    def __init__(self, path: Path, name: Name) -> None:
        self.name: Final = name
        """Of the instruction set."""
        self.path: Final = path
        self.functions: Final = _declared(opened(path))
        self._pools: dict[int, int] = {}
        self._lock = Lock()

    def pool(self, threads: int) -> int:
        """Address of the pool of that many threads; it lives as long as the process."""
        with self._lock:
            if threads not in self._pools:
                pool = self.functions.descant_pool(threads)
                if not pool:
                    raise MemoryError("no memory for a pool of threads")
                self._pools[threads] = pool
            return self._pools[threads]


def opened(path: Path) -> ctypes.CDLL:
    """Load a library. Raises `NativeUnavailable` for a file that is none."""
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise NativeUnavailable(f"{path} cannot be loaded: {error}") from error


def _declared(functions: ctypes.CDLL) -> ctypes.CDLL:
    pointer, number, real, size = ctypes.c_void_p, ctypes.c_int, ctypes.c_float, ctypes.c_size_t
    signatures = {
        "descant_pool": (pointer, [number]),
        "descant_format": (number, [number]),
        "descant_block_bytes": (size, [number, number]),
        "descant_pack": (None, [pointer, number, pointer, number, number, pointer, pointer]),
        "descant_step": (number, [pointer, pointer, pointer]),
        "descant_linear": (number, [pointer, pointer, number, pointer, pointer, number, pointer]),
        "descant_norm": (None, [pointer, pointer, number, real, pointer]),
        "descant_gate": (None, [pointer, pointer, number]),
        "descant_quantise": (None, [pointer, number, pointer]),
        "descant_write": (None, [pointer, pointer, number, pointer, pointer]),
        "descant_attend": (number, [pointer, pointer, pointer, number, pointer, pointer, number, pointer]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(functions, name)
        function.restype, function.argtypes = result, arguments
    return functions
