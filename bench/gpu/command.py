"""What `python -m bench.gpu` does: one process after the other inside a time limit, and one JSON document.

Imports no torch: it is what is being looked at.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import signal
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from time import monotonic, strftime
from typing import TYPE_CHECKING, Any, Final

from bench.errors import BenchError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

_ROOT: Final = Path(__file__).parents[2]
_NEEDED: Final = ("torch", "numpy", "platformdirs")
_BUDGET_S: Final = 600.0
_CONTRACT: Final = "tests/reasoning/engine/test_engine_contract.py"
_PARTS: Final = ("card", "agreement", "contract", "1.5b 4-bit", "1.5b 16-bit", "8b 4-bit", "8b 16-bit")
_QUICK_PARTS: Final = ("card", "agreement", "contract", "tiny 4-bit")
_QUICK_TEST: Final = "stop_token"
"""What the quick check runs of the contract."""


class NoCard(BenchError):
    """The device that is to be looked at is not there."""


def main() -> int:
    """Check the device and print what was found; 0 where nothing is wrong, else 1."""
    parser = argparse.ArgumentParser(prog="python -m bench.gpu", description="Check the engine on an NVIDIA card.")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda", help="cpu: how the check itself is tested")
    parser.add_argument("--quick", action="store_true", help="tiny shapes: shows that it runs, proves nothing")
    parser.add_argument("--budget-s", type=float, default=_BUDGET_S, help="end after so many seconds [600]")
    options = parser.parse_args()
    document: dict[str, Any] = {"check": "gpu", "date": strftime("%Y-%m-%d"), "quick": options.quick, "ended": ""}
    if missing := [name for name in _NEEDED if find_spec(name) is None]:
        told = f"this Python has no {' and no '.join(missing)}; name another: make check-gpu PYTHON=…"
        print(f"check-gpu: {told}", file=sys.stderr)
        return 1
    try:
        asyncio.run(_check(document, options.device, quick=options.quick, ends=monotonic() + options.budget_s))
    except NoCard as error:
        print(f"check-gpu: {error}", file=sys.stderr)
        return error.exit_code
    except (KeyboardInterrupt, asyncio.CancelledError):
        document["ended"] = "interrupted"
    document["ok"] = _ok(document)
    print(json.dumps(_rounded(document), indent=1))
    return 0 if document["ok"] else 1


async def _check(document: dict[str, Any], device: str, *, quick: bool, ends: float) -> None:
    """Fill the document part by part. Raises NoCard."""
    if task := asyncio.current_task():
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    for part in _QUICK_PARTS if quick else _PARTS:
        if document["ended"]:
            return
        if document.get("card"):
            print(f"check-gpu: {part}, {ends - monotonic():.0f} s left", file=sys.stderr)
        if part == "contract":
            document[part] = await _contract(document, device, quick=quick, ends=ends)
            continue
        arguments = ["-m", "bench.gpu.worker", part, device, *(["--quick"] if quick else [])]
        async for line in _lines(arguments, document, part, ends):
            group, name, found = json.loads(line)
            if group == "error":
                raise NoCard(f"no NVIDIA card: {found['told']}")
            if group == "card":
                document[group] = found
            else:
                document.setdefault(group, {})[name] = found
        _compare(document, part)


async def _contract(document: dict[str, Any], device: str, *, quick: bool, ends: float) -> dict[str, Any]:
    """Run the engine's contract tests on the device, where this Python has what tests need."""
    if missing := [name for name in ("pytest", "pytest_asyncio", "gguf", "transformers") if find_spec(name) is None]:
        return {"run": False, "why": f"this Python has no {', '.join(missing)}"}
    chosen = "cuda" if device == "cuda" else "portable"
    words = f"{chosen} and {_QUICK_TEST}" if quick else chosen
    arguments = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--color=no", _CONTRACT, "-k", words]
    lines = [line.strip() async for line in _lines(arguments, document, "contract", ends)]
    counts = {
        what: int(count) for count, what in re.findall(r"(\d+) (passed|failed|skipped|errors?)", (lines or [""])[-1])
    }
    if not counts:
        return {"run": False, "why": next((line for line in reversed(lines) if "Error" in line), "it did not end")}
    wrong = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    return {"run": True, "ok": not wrong and counts.get("passed", 0) > 0, **counts, "wrong": wrong}


async def _lines(arguments: Sequence[str], document: dict[str, Any], part: str, ends: float) -> AsyncIterator[str]:
    """Give what a Python process prints until it ends or the time is over; the document tells a bad end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, cwd=_ROOT, stdout=asyncio.subprocess.PIPE, start_new_session=True
    )
    assert process.stdout is not None  # noqa: S101 - it was asked for
    try:
        async with asyncio.timeout_at(asyncio.get_running_loop().time() + max(0.0, ends - monotonic())):
            async for line in process.stdout:
                yield line.decode(errors="replace")
            code = await process.wait()
        if code and part != "contract":
            document.setdefault(part, {})["failed"] = f"the process ended with {code}"
    except TimeoutError:
        document["ended"] = f"the time was over in {part!r}"
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


def _compare(document: dict[str, Any], part: str) -> None:
    """Say how much of the card's bandwidth each step reached."""
    card = document.get("card", {})
    for found in document.get(part, {}).values():
        if isinstance(found, dict) and "weights_gb_s" in found:
            for of in ("copy_gb_s", "nominal_gb_s"):
                if card.get(of):
                    found[f"of_{of.removesuffix('_gb_s')}"] = found["weights_gb_s"] / card[of]


def _ok(document: dict[str, Any]) -> bool:
    """Whether nothing that was looked at is wrong; what there was no time for is not."""
    found = [one for one in document.values() if isinstance(one, dict)]
    figures = [one for group in found for one in group.values() if isinstance(one, dict)]
    return not any(
        one.get("ok") is False or (one.get("failed") and "of memory" not in one["failed"]) for one in [*found, *figures]
    )


def _rounded(value: Any) -> Any:  # noqa: ANN401 - JSON
    match value:
        case float():
            return float(f"{value:.4g}")
        case dict():
            return {key: _rounded(item) for key, item in value.items()}
        case list():
            return [_rounded(item) for item in value]
        case _:
            return value
