"""Big Bench Audio, rebuilt: `python -m tests.judges.big_bench_audio --questions FOLDER --n 40`.

Its four categories of BIG-Bench Hard, 40 of the first hundred questions of each, asked by Kokoro voices that the ears
were not tuned on, through the ears, the loop and the voice as `descant bench think --speech` does. An item is right as
it is heard: Whisper says what is in the reply's sound. Each item is kept as it is finished, and not asked again.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agent.apps.progress import shown
from agent.config.invocation import open_store
from agent.config.settings import load
from agent.models.registry import find, row_costs
from agent.models.voices import VoiceShelf
from bench.think.items import public
from bench.think.speech import SpeechStage
from bench.think.think import Row, ThinkStage, open_model
from bench.virtual.timed import Pace
from reasoning.engine.torch_engine import TorchEngine
from tests.judges.scenario import BUILD, Scenario
from tests.judges.table import machine_told, record

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.config.settings import Settings
    from bench.think.items.question import TaskQuestion

TASKS: Final = ("formal_fallacies", "navigate", "object_counting", "web_of_lies")
VOICES: Final = ("af_bella", "am_fenrir", "bf_isabella", "bm_george")
"""Of Kokoro; nothing in this repository was tuned on them."""
_WHOLE: Final = 40
"""Items of each category that make a score."""
_KEPT: Final = BUILD / "big-bench-audio" / "items.jsonl"


def asked(folder: Path, count: int) -> list[tuple[TaskQuestion, str]]:
    """Give the questions, a category in turn, each with the name of the voice that asks it."""
    tasks = [public.items(task, "dev", count, folder) for task in TASKS]
    turns = [item for items in zip(*tasks, strict=True) for item in items]
    # Each category is asked by all voices.
    voices = [f"kokoro-{VOICES[item.number % len(VOICES)]}" for item in turns]
    return list(zip(turns, voices, strict=True))


def scenarios(lines: Iterable[dict[str, Any]]) -> list[Scenario]:
    """Count a category's items as turns, right ones as passed."""
    told = []
    for task in TASKS:
        items = [line for line in lines if line["task"] == task]
        waits = [1000 * line["first_content_s"] for line in items if line["first_content_s"] is not None]
        right = sum(line["right_by_ear"] for line in items)
        told.append(Scenario(task.replace("_", " "), len(items), right, waits, [], [], {}, []))
    return told


def kept(file: Path) -> dict[tuple[str, int], dict[str, Any]]:
    """Give the items of earlier runs by task and number; a line that was cut off is none."""
    found = {}
    for text in file.read_text(encoding="utf-8").splitlines() if file.is_file() else []:
        if text.endswith("}"):
            line = json.loads(text)
            found[line["task"], line["number"]] = line
    return found


async def ask_all(settings: Settings, items: list[tuple[TaskQuestion, str]]) -> list[dict[str, Any]]:
    """Ask what was not asked yet, one after the other; give all that was asked for."""
    done = kept(_KEPT)
    left = [(item, voice) for item, voice in items if (item.task, item.number) not in done]
    if left:
        with shown() as progress:
            files = find(settings, open_store(settings.models), progress, speech=True)
        model, shelf = open_model(files.llm, settings.engine), VoiceShelf(settings)
        options = settings.engine
        engine = TorchEngine(
            model.decoder,
            prefill_rows=options.prefill_rows,
            threads=options.threads,
            row_costs=row_costs(model.decoder, options),
        )
        row = Row("async", "async", settings.loop)
        try:
            stage = SpeechStage(ThinkStage(model, settings, Pace()), engine, files)
            for item, voice in left:
                told = await stage.ask(row, item, partial(shelf.load, voice))
                line = {
                    "task": item.task, "number": item.number, "voice": voice, "answer": item.answer,
                    "heard": told.question_heard, "said": told.sample.spoken, "reply_heard": told.reply_heard,
                    "right": told.sample.right, "right_by_ear": told.right_by_ear,
                    "first_content_s": told.sample.first_content_s,
                }  # fmt: skip
                _KEPT.parent.mkdir(parents=True, exist_ok=True)
                with _KEPT.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")
                done[item.task, item.number] = line
                print(f"{item.task} {item.number}: {'right' if told.right_by_ear else 'wrong'}", flush=True)
        finally:
            engine.close()
    return [done[item.task, item.number] for item, _ in items]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=Path, help="the folder that has BIG-Bench Hard's files")
    parser.add_argument("--n", type=int, default=_WHOLE, help="questions of each category")
    given = parser.parse_args()
    if given.questions is None or not given.questions.is_dir():
        print(f"skipped: {given.questions or 'no folder'} has no questions of BIG-Bench Hard; name it with BBH=FOLDER")
        return
    settings = load().settings
    lines = asyncio.run(ask_all(settings, asked(given.questions, given.n)))
    results = {
        "judge": "big-bench-audio",
        "machine": machine_told(settings),
        "repeat": 1,
        "at_once": 1,
        "part": "" if given.n >= _WHOLE else f"{given.n} of {_WHOLE} items of each",
        "scenarios": [asdict(one) for one in scenarios(lines)],
    }
    (BUILD / "big-bench-audio.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
    by_ear, as_text = (sum(line[name] for line in lines) for name in ("right_by_ear", "right"))
    print(f"{by_ear} of {len(lines)} right as they were heard, {as_text} by their text")
    record(results)


if __name__ == "__main__":
    main()
