"""Stands for a `Library` whose functions run in another process: what they are given is copied there, and back.

Nothing stays there but pools of threads, so that a call costs the copies of all that it reads, weights included.
"""

from __future__ import annotations

import ctypes
import struct
import subprocess
from enum import IntEnum, auto
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, cast

import numpy as np

from reasoning.formats.quants import BLOCKS, GgmlType
from reasoning.native import build, step
from reasoning.native.instruction_sets import SOURCES
from reasoning.native.linear import Matrix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from reasoning.native.binding import Library
    from reasoning.native.instruction_sets import InstructionSet, Name

    Table = NDArray[np.void]

HERE: Final = Path(__file__).parent
WARNINGS: Final = ("-Wall", "-Wextra", "-Werror")
GROUP: Final = np.dtype([("q", np.int8, 32), ("scale", np.float32), ("sum", np.float32), ("offset", np.int32, 2)])
"""`Group` of linear.h."""
_REQUEST: Final = struct.Struct("<9qd")
_FLOAT: Final = 4


class What(IntEnum):
    """What is asked of driver.c, in its order."""

    MAKE = 0
    WRITE = auto()
    READ = auto()
    FREE = auto()
    PROCESSOR = auto()
    POOL = auto()
    FORMAT = auto()
    BLOCK_BYTES = auto()
    PACK = auto()
    LINEAR = auto()
    NORM = auto()
    GATE = auto()
    QUANTISE = auto()
    KEEP = auto()
    ATTEND = auto()
    STEP = auto()


def driver(folder: Path, compiler: str, one: InstructionSet, flags: Sequence[str], of: Path = SOURCES) -> Path:
    """Compile a set's kernels into a program; warnings are errors."""
    made = folder / "driver"
    sources = [path for folder in (of, of / "probe", of / "sets" / one.folder) for path in folder.glob("*.c")]
    command = [compiler, *build.FLAGS, *WARNINGS, *flags, f"-I{of}"]
    command.remove("-shared")
    subprocess.run([*command, "-o", str(made), *map(str, sources), str(HERE / "driver.c"), "-lm"], check=True)
    return made


class Apart:
    """The kernels of a program that was made by `driver`."""

    def __init__(self, command: Sequence[str], name: Name) -> None:
        self.name: Final = name
        self.functions: Final = self
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)
        self._pools: dict[int, int] = {}

    def as_library(self) -> Library:
        """Give itself as what it stands for."""
        return cast("Library", self)

    def close(self) -> None:
        """Let the program end. `RuntimeError` where it ended otherwise."""
        self._ended(well=0)

    def processor(self) -> frozenset[str]:
        """Give what the processor there reports."""
        return frozenset(self.read(self.call(What.PROCESSOR), 512).partition(b"\0")[0].decode().split())

    def pool(self, threads: int) -> int:
        if threads not in self._pools:
            self._pools[threads] = self.call(What.POOL, threads)
        return self._pools[threads]

    def call(self, what: What, *arguments: int, real: float = 0.0, data: bytes = b"") -> int:
        """Ask for one thing and wait for its answer."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(_REQUEST.pack(what, *arguments, *[0] * (8 - len(arguments)), real))
            self._process.stdin.write(data)
            self._process.stdin.flush()
        except BrokenPipeError:
            self._ended()
        return int.from_bytes(self._answer(8), "little", signed=True)

    def read(self, there: int, size: int) -> bytes:
        self.call(What.READ, there, size)
        return self._answer(size)

    def _answer(self, size: int) -> bytes:
        assert self._process.stdout is not None
        told = self._process.stdout.read(size)
        if len(told) != size:
            self._ended()
        return told

    def _ended(self, well: int | None = None) -> None:
        """Take leave; `RuntimeError` with what was said last, but for one exit code."""
        _, said = self._process.communicate()
        if self._process.returncode != well:
            raise RuntimeError(
                f"the kernels' process ended ({self._process.returncode}): {said.decode(errors='replace')}"
            )

    # --- the functions of binding.py ---

    def descant_format(self, kind: int) -> int:
        return self.call(What.FORMAT, kind)

    def descant_block_bytes(self, number: int, columns: int) -> int:
        return self.call(What.BLOCK_BYTES, number, columns)

    def descant_pack(  # noqa: PLR0917
        self, pool: int, kind: int, raw: int, rows: int, columns: int, order: int | None, out: int
    ) -> None:
        weights, size = BLOCKS[GgmlType(kind)]
        packed = self._matrix_bytes(self.descant_format(kind), rows, columns)
        with _Loan(self) as loan:
            self.call(
                What.PACK, pool, kind, loan.of(raw, rows * columns // weights * size), rows, columns,
                loan.of(order, 8 * rows), loan.of(out, packed, back=True),
            )  # fmt: skip

    def descant_linear(  # noqa: PLR0917
        self, pool: int, parts: int, count: int, bias: int | None, x: int, rows: int, y: int
    ) -> int:
        with _Loan(self) as loan:
            linear = self._linear(loan, step._Linear(parts, count, bias))
            matrices = _some(Matrix, parts, count)
            outputs = sum(matrix.rows for matrix in matrices)
            return self.call(
                What.LINEAR, pool, linear.parts, count, linear.bias or 0,
                loan.of(x, _FLOAT * rows * matrices[0].columns), rows, loan.of(y, _FLOAT * rows * outputs, back=True),
            )  # fmt: skip

    def descant_norm(self, x: int, weight: int, size: int, epsilon: float, out: int) -> None:
        with _Loan(self) as loan:
            given = loan.of(x, _FLOAT * size), loan.of(weight, _FLOAT * size)
            self.call(What.NORM, *given, size, loan.of(out, _FLOAT * size, back=True), real=epsilon)

    def descant_gate(self, gate: int, up: int, count: int) -> None:
        with _Loan(self) as loan:
            self.call(What.GATE, loan.of(gate, _FLOAT * count, back=True), loan.of(up, _FLOAT * count), count)

    def descant_quantise(self, x: int, columns: int, out: int) -> None:
        size = (columns // 32 + 1) // 2 * 2 * GROUP.itemsize
        with _Loan(self) as loan:
            self.call(What.QUANTISE, loan.of(x, _FLOAT * columns), columns, loan.of(out, size, back=True))

    def descant_write(self, heads: int, block: int, position: int, k: int, v: int) -> None:
        shape = step.Heads.from_address(heads)
        size = _FLOAT * shape.kv_heads * shape.head_size
        with _Loan(self) as loan:
            blocks = _table(np.dtype(step.BLOCK), block, 1)
            _lend_blocks(loan, blocks, shape, layers=1, back=True)
            self.call(
                What.KEEP, _lend_heads(loan, shape, position + 1), loan.put(blocks), position, loan.of(k, size),
                loan.of(v, size),
            )  # fmt: skip

    def descant_attend(  # noqa: PLR0917
        self, pool: int, heads: int, reads: int, count: int, pairs: int, q: int, rows: int, out: int
    ) -> int:
        shape = step.Heads.from_address(heads)
        size = _FLOAT * rows * shape.heads * shape.head_size
        with _Loan(self) as loan:
            blocks = _table(step.READ, reads, count)
            readers = _table(step.PAIR, pairs, int(blocks["count"].sum()))
            _lend_blocks(loan, blocks, shape, layers=1)
            turns = _lend_heads(loan, shape, 1 + int(readers["distance"].max()))
            return self.call(
                What.ATTEND, pool, turns, loan.put(blocks), count, loan.put(readers), loan.of(q, size), rows,
                loan.of(out, size, back=True),
            )  # fmt: skip

    def descant_step(self, pool: int, model: int, asked: int) -> int:
        of, to = (_some(kind, at, 1)[0] for kind, at in ((step._Model, model), (step._Step, asked)))
        with _Loan(self) as loan:
            writes, reads = _table(step._WRITE, to.writes, to.rows), _table(step.READ, to.read, to.reads)
            pairs = _table(step.PAIR, to.pairs, int(reads["count"].sum()))
            _lend_blocks(loan, writes, of.heads, of.layers, back=True)
            _lend_blocks(loan, reads, of.heads, of.layers)
            self._lend_model(loan, of, 1 + max(int(pairs["distance"].max()), int(writes["position"].max())))
            to.x = loan.of(to.x, _FLOAT * to.rows * of.width)
            to.writes, to.read, to.pairs = loan.put(writes), loan.put(reads), loan.put(pairs)
            to.want = loan.of(to.want, 4 * to.wants)
            to.logits = loan.of(to.logits, _FLOAT * to.wants * of.vocabulary, back=True)
            return self.call(What.STEP, pool, loan.put(of), loan.put(to))

    # --- structures that hold addresses ---

    def _matrix_bytes(self, number: int, rows: int, columns: int) -> int:
        return -(-rows // 16) * self.descant_block_bytes(number, columns)

    def _linear(self, loan: _Loan, linear: Any) -> Any:  # noqa: ANN401
        matrices = _some(Matrix, linear.parts, linear.count)
        for matrix in matrices:
            matrix.data = loan.of(matrix.data, self._matrix_bytes(matrix.format, matrix.rows, matrix.columns))
        bias = loan.of(linear.bias, _FLOAT * sum(matrix.rows for matrix in matrices))
        return step._Linear(loan.put(matrices), linear.count, bias)

    def _lend_model(self, loan: _Loan, model: Any, positions: int) -> None:  # noqa: ANN401
        heads, width = model.heads, _FLOAT * model.width
        layers = _some(step._Layer, model.layer, model.layers)
        for layer in layers:
            for name in ("q_k_v", "output", "gate_up", "down"):
                setattr(layer, name, self._linear(loan, getattr(layer, name)))
            layer.attention_norm = loan.of(layer.attention_norm, width)
            layer.feed_forward_norm = loan.of(layer.feed_forward_norm, width)
            layer.q_norm = loan.of(layer.q_norm, _FLOAT * heads.head_size)
            layer.k_norm = loan.of(layer.k_norm, _FLOAT * heads.head_size)
        model.layer = loan.put(layers)
        model.norm = loan.of(model.norm, width)
        model.head = self._linear(loan, model.head)
        heads.cos, heads.sin = (loan.of(at, _FLOAT * positions * heads.head_size) for at in (heads.cos, heads.sin))


class _Loan:
    """Memory of this process that the other has copies of for the time of a call."""

    def __init__(self, apart: Apart) -> None:
        self._apart = apart
        self._lent: dict[int, int] = {}
        self._made: list[int] = []
        self._back: list[tuple[int, int, int]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            return
        for here, there, size in self._back:
            ctypes.memmove(here, self._apart.read(there, size), size)
        for there in self._made:
            self._apart.call(What.FREE, there)

    def of(self, here: int | None, size: int, *, back: bool = False) -> int:
        """Give where the copy lies, 0 for nothing; the same place for what was lent before."""
        if not here:
            return 0
        if here not in self._lent:
            self._lent[here] = self.put(ctypes.string_at(here, size))
            if back:
                self._back.append((here, self._lent[here], size))
        return self._lent[here]

    def put(self, data: Any) -> int:  # noqa: ANN401
        """Give where a copy of a structure's or an array's bytes lies."""
        copied = bytes(data)
        there = self._apart.call(What.MAKE, len(copied))
        self._apart.call(What.WRITE, there, len(copied), data=copied)
        self._made.append(there)
        return there


def _some(kind: Any, at: int, count: int) -> Any:  # noqa: ANN401
    """Copy an array of C structures."""
    return (kind * count).from_buffer_copy(ctypes.string_at(at, ctypes.sizeof(kind) * count))


def _table(kind: np.dtype[Any], at: int, count: int) -> Table:
    return np.frombuffer(ctypes.string_at(at, kind.itemsize * count), kind).copy()


def _lend_blocks(loan: _Loan, blocks: Table, heads: Any, layers: int, *, back: bool = False) -> None:  # noqa: ANN401
    for block in blocks:
        size = layers * heads.kv_heads * int(block["capacity"]) * heads.head_size * 2
        for part in ("keys", "values"):
            block[part] = loan.of(int(block[part]), size, back=back)


def _lend_heads(loan: _Loan, heads: Any, positions: int) -> int:  # noqa: ANN401
    size = _FLOAT * positions * heads.head_size
    cos, sin = loan.of(heads.cos, size), loan.of(heads.sin, size)
    return loan.put(step.Heads(heads.heads, heads.kv_heads, heads.head_size, cos, sin))
