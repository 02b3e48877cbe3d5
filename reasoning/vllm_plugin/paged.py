"""Attention over a paged cache on a processor, with log-sum-exps, behind the signature of `flash_attn_varlen_func`.

vLLM's own kernel for processors gives no log-sum-exps. The one in C is compiled at the first start, where there is a
compiler; the one in torch does the same more slowly. Knows no vLLM.
"""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from .attention import Kernel

_LOG: Final = logging.getLogger("vllm.live_views")
_SOURCE: Final = Path(__file__).with_name("paged.c")
_FLAGS: Final = ("-O3", "-march=native", "-std=gnu11", "-shared", "-fPIC", "-fno-math-errno", "-fno-trapping-math")
_FLAGS_OF_SUMS: Final = ("-fassociative-math", "-fno-signed-zeros", "-fopenmp")
_COMPILE_S: Final = 120
_PAGE: Final = 32
"""A page is a multiple of this many keys, and the vector loop's length."""
_MOST_WIDTH: Final = 256


class _Job(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("q", "k", "v", "starts", "lengths", "pages", "out", "lse")),
        *((name, ctypes.c_int64) for name in ("k_page", "k_head", "v_page", "v_head")),
        *((name, ctypes.c_int32) for name in ("rows", "tokens", "heads", "kv_heads", "width", "page")),
        *((name, ctypes.c_int32) for name in ("pages_each", "causal", "halves")),
        ("scale", ctypes.c_float),
    )


def torch_attend(
    *,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    max_seqlen_q: int,  # noqa: ARG001 - part of the signature
    cu_seqlens_q: Tensor,
    max_seqlen_k: int,  # noqa: ARG001
    seqused_k: Tensor,
    block_table: Tensor,
    softmax_scale: float,
    causal: bool,
    return_softmax_lse: bool,  # noqa: ARG001
) -> tuple[Tensor, Tensor]:
    """Attend by plain products, see `Kernel`; in float32."""
    tokens, heads, width = q.shape
    out, lse = torch.zeros(tokens, heads, width), torch.full((heads, tokens), -torch.inf)
    group = heads // k.shape[2]
    starts = cu_seqlens_q.tolist()
    for row, length in enumerate(seqused_k.tolist()):
        first, last = starts[row], starts[row + 1]
        if not length or first == last:
            continue
        pages = block_table[row, : -(-length // k.shape[1])].long()
        keys = k[pages].flatten(0, 1)[:length].float().repeat_interleave(group, 1)
        values = v[pages].flatten(0, 1)[:length].float().repeat_interleave(group, 1)
        scores = torch.einsum("mhd,nhd->hmn", q[first:last].float(), keys) * softmax_scale
        if causal:
            seen = torch.arange(length - (last - first), length)[:, None] >= torch.arange(length)
            scores = scores.masked_fill(~seen, -torch.inf)
        lse[:, first:last] = scores.logsumexp(-1)
        out[first:last] = torch.einsum("hmn,nhd->mhd", scores.softmax(-1), values)
    return out, lse


class CompiledAttend:
    """The same in C, for caches whose pages hold keys as [width, page] and values as [page, width]."""

    def __init__(self, path: Path) -> None:
        self._attend = ctypes.CDLL(str(path)).live_views_attend
        self._attend.restype, self._attend.argtypes = ctypes.c_int, [ctypes.POINTER(_Job)]

    @staticmethod
    def takes(k: Tensor, v: Tensor) -> bool:
        """Whether it is written for caches like these."""
        _, page, _, width = k.shape
        return (
            k.dtype == v.dtype
            and k.dtype in {torch.float32, torch.bfloat16}
            and page % _PAGE == 0
            and width <= _MOST_WIDTH
            and (k.stride(1), k.stride(3)) == (1, page)
            and (v.stride(1), v.stride(3)) == (width, 1)
        )

    def __call__(
        self,
        *,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        max_seqlen_q: int,  # noqa: ARG002 - part of the signature
        cu_seqlens_q: Tensor,
        max_seqlen_k: int,  # noqa: ARG002
        seqused_k: Tensor,
        block_table: Tensor,
        softmax_scale: float,
        causal: bool,
        return_softmax_lse: bool,  # noqa: ARG002
    ) -> tuple[Tensor, Tensor]:
        """Attend, see `Kernel`; in float32."""
        if not self.takes(k, v):
            raise ValueError(f"no kernel for a cache of {k.dtype} with the strides {k.stride()} and {v.stride()}")
        tokens, heads, width = q.shape
        q, out, lse = q.float().contiguous(), torch.empty(tokens, heads, width), torch.empty(heads, tokens)
        numbers = [each.to(torch.int32).contiguous() for each in (cu_seqlens_q, seqused_k, block_table)]
        job = _Job(
            *(each.data_ptr() for each in (q, k, v, *numbers, out, lse)),
            *(k.stride(0), k.stride(2), v.stride(0), v.stride(2)),
            *(len(seqused_k), tokens, heads, k.shape[2], width, k.shape[1]),
            *(block_table.shape[1], causal, k.dtype == torch.bfloat16),
            softmax_scale,
        )
        if self._attend(ctypes.byref(job)):
            raise MemoryError("no memory for the scores of a view")
        return out, lse


@cache
def kernel() -> Kernel:
    """Give the kernel in C, or the one in torch where there is no compiler."""
    try:
        return CompiledAttend(_compiled(Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "live-views"))
    except (OSError, subprocess.SubprocessError) as error:
        _LOG.warning("live views run without their kernel in C, at lower speed: %s", error)
        return torch_attend


def _compiled(folder: Path) -> Path:
    compiler = shutil.which(os.environ.get("CC") or "cc")
    if compiler is None:
        raise FileNotFoundError("there is no C compiler (install gcc, or set CC)")
    flags = [*_FLAGS, *_FLAGS_OF_SUMS]
    runtime = _open_mp()
    # The same library of threads that torch has loaded: a second one would have threads of its own on the same cores.
    linked = [] if runtime is None else [str(runtime), f"-Wl,-rpath,{runtime.parent}"]
    version = _run([compiler, "--version"])
    with Path("/proc/cpuinfo").open(encoding="utf-8") as lines:
        processor = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    parts = (version, processor, *flags, *linked, _SOURCE.read_text(encoding="utf-8"))
    path = folder / f"{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:32]}.so"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(dir=folder, suffix=".part")
        os.close(handle)
        try:
            _run([compiler, *flags, "-o", part, str(_SOURCE), *linked, "-lm"])
            # Several workers may do this at once; each puts the same file in its place.
            Path(part).replace(path)
        finally:
            Path(part).unlink(missing_ok=True)
    return path


def _open_mp() -> Path | None:
    """Find the OpenMP library that this process has loaded."""
    with Path("/proc/self/maps").open(encoding="utf-8") as lines:
        paths = {line.split(maxsplit=5)[-1].strip() for line in lines if "omp" in line}
    found = [Path(path) for path in paths if Path(path).name.startswith(("libgomp", "libiomp5", "libomp"))]
    return found[0] if len(found) == 1 else None


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_COMPILE_S, check=True)  # noqa: S603
    except subprocess.CalledProcessError as error:
        raise OSError(f"{command[0]} failed: {error.stderr.strip()[:500]}") from error
    return done.stdout
