"""`descant models calibrate`: measures a model, and writes what is known of it as a profile of the user's own."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from agent.apps.loading import spinning
from agent.apps.progress import shown
from agent.config.invocation import open_store
from agent.models.assembly import open_engine
from agent.models.calibrating import measure_need
from agent.models.registry import model_name
from reasoning.prompting.profiles.profile import plain_name
from reasoning.prompting.profiles.writing import as_toml

if TYPE_CHECKING:
    from pathlib import Path

    from agent.config.settings import Loaded


async def run(loaded: Loaded, output: Path | None) -> None:
    """Measure, and write to the file or the standard output. Raises NotMeasured."""
    settings = loaded.settings
    with shown() as progress:
        file = await asyncio.to_thread(open_store(settings.models).language_model, settings.models.llm, progress)
    model = await asyncio.to_thread(model_name, file)
    async with open_engine(file, settings, spinning) as (engine, script):
        found = await measure_need(engine, script, model, _tell)
    name = plain_name(model)
    text = as_toml(replace(script.profile, name=name, models=(f"*{name}*",), calibration=found.calibration))
    told = f"{found.asked - found.misplaced} of {found.asked} questions are on the right side"
    if output is None:
        sys.stdout.write(f"# {told}\n{text}")
        return
    await asyncio.to_thread(output.write_text, f"# {told}\n{text}", "utf-8")
    sys.stderr.write(f"{told}; use it by models.profiles = {str(output)!r}\n")


def _tell(done: int, total: int) -> None:
    sys.stderr.write(f"\r{done} of {total} questions{'' if done < total else chr(10)}")
    sys.stderr.flush()
