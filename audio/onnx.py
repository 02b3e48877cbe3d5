"""Networks in ONNX files, on the processor, with no more threads than they are given. Blocking."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from onnxruntime import InferenceSession


def open_network(model: Path, threads: int, *, arena: bool = True) -> InferenceSession:
    """Load a network.

    arena: whether memory and a plan are kept for each length of input. Where every input has another length that takes
        from a hundred megabytes to a gigabyte and gains a tenth; and to plan which values may share memory takes two
        thirds of the time in which a piper voice is loaded, and gains nothing.

    Raises:
        Exception: of onnxruntime, whose errors share no other base.

    """
    import onnxruntime  # noqa: PLC0415 - heavy, not needed for --help

    limits = onnxruntime.SessionOptions()
    limits.intra_op_num_threads, limits.inter_op_num_threads = threads, 1
    limits.enable_cpu_mem_arena = limits.enable_mem_pattern = limits.enable_mem_reuse = arena
    return onnxruntime.InferenceSession(str(model), limits, providers=["CPUExecutionProvider"])
