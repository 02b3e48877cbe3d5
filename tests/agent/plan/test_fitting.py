from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from agent.config.settings import Settings, load, render
from agent.plan.choice import choose
from agent.plan.fitting import Fitting, begin, ears_told, fitted, told
from agent.plan.machine import Machine, PlanKey, busy_share, processor_in
from agent.plan.record import file_of, keep, recall
from tests.agent.plan.test_choice import BOARD, BUSY_MEASURED, DESKTOP, MEASURED, SMALL
from tests.agent.plan.test_measuring import Clocked, Ears, Voice

if TYPE_CHECKING:
    from collections.abc import Container
    from pathlib import Path

    from agent.plan.choice import MachineMeasures

KEY = PlanKey("a processor", 2, "avx2", "ab12", "ears", "voice", 0, "0.1.0")
PLAN = choose(MEASURED[BOARD], BOARD)
FREE = choose(MEASURED[DESKTOP], DESKTOP, ears_free=True)


def fitting(
    folder: Path, given: Container[str] = (), *, measured: MachineMeasures | None = None
) -> tuple[Fitting, list[str]]:
    lines: list[str] = []
    return Fitting(Settings(), given, SMALL, KEY, folder, lines.append, measured), lines


def test_what_nobody_set_is_chosen() -> None:
    settings = fitted(Settings(), (), PLAN)
    assert settings.engine.threads == PLAN.threads
    assert settings.engine.prefill_rows == PLAN.prefill_rows
    assert settings.ears.partial_every_ms == 2000
    assert settings.loop.filler_after_s == PLAN.filler_after_s
    assert settings.models == Settings().models


@pytest.mark.parametrize("key", sorted(FREE.settings()))
def test_what_somebody_set_wins_even_where_it_is_the_default(key: str) -> None:
    before = Settings()
    group, _, name = key.partition(".")
    after = fitted(before, {key}, FREE)
    assert getattr(getattr(after, group), name) == getattr(getattr(before, group), name)
    assert all(_value(after, other) == value for other, value in FREE.settings().items() if other != key)


def _value(settings: Settings, key: str) -> object:
    group, _, name = key.partition(".")
    return getattr(getattr(settings, group), name)


@pytest.mark.parametrize(("key", "value"), sorted(FREE.settings().items()))
def test_the_plan_sets_settings_that_there_are(key: str, value: object) -> None:
    assert isinstance(_value(Settings(), key), str if isinstance(value, str) else int | float)


def test_the_line_offers_the_smaller_model_only_where_the_promise_cannot_be_kept() -> None:
    default = "qwen2.5-coder-1.5b"
    assert "--model" not in told(choose(MEASURED[DESKTOP], DESKTOP), MEASURED[DESKTOP], default)
    line = told(PLAN, MEASURED[BOARD], default)
    assert "--model qwen2.5-coder-0.5b" in line
    assert "340 ms" in line
    assert "--model" not in told(PLAN, MEASURED[BOARD], "qwen2.5-coder-0.5b")


def test_the_line_says_that_others_are_computing_and_offers_nothing_for_their_sake() -> None:
    line = told(choose(BUSY_MEASURED, SMALL), BUSY_MEASURED, "qwen2.5-coder-1.5b")
    assert "others are computing" in line
    assert "--model" not in line


@pytest.mark.parametrize(
    ("given", "asr", "own_ears", "hears"),
    [
        (set(), "whisper-tiny.en", False, "whisper-base"),
        ({"models.asr"}, "whisper-tiny.en", False, "whisper-tiny.en"),
        ({"models.asr"}, "whisper-base", False, "whisper-base"),
        (set(), "whisper-tiny.en", True, "whisper-tiny.en"),
    ],
)
def test_ears_are_chosen_where_nobody_set_or_brought_any(
    tmp_path: Path, given: set[str], asr: str, *, own_ears: bool, hears: str
) -> None:
    settings = load(overrides={"models.asr": asr}).settings
    one = Fitting(settings, given, DESKTOP, KEY, tmp_path, print, MEASURED[DESKTOP], own_ears=own_ears)
    assert one.now.models.asr == hears
    chosen = not given and not own_ears
    assert ("hears" in one.told()) == chosen == any("hears" in line for line in one.measurements())


def test_nothing_is_told_of_ears_that_were_chosen_and_could_not_be_had(tmp_path: Path) -> None:
    one = Fitting(Settings(), (), DESKTOP, KEY, tmp_path, print, MEASURED[DESKTOP])
    one.found_ears("whisper-base")
    assert "whisper-base hears" in one.told()
    one.found_ears("whisper-tiny.en")
    assert one.now.models.asr == "whisper-tiny.en"
    assert "hears" not in one.told()
    assert one.plan == choose(MEASURED[DESKTOP], DESKTOP)


def test_the_line_says_which_speech_model_hears_and_why() -> None:
    small = choose(MEASURED[SMALL], SMALL, ears_free=True)
    assert ears_told(small, loaded=True).startswith("whisper-tiny.en hears: with whisper-base")
    assert f"{small.larger_content_s:.2f} s" in ears_told(small, loaded=True)
    slow = choose(replace(MEASURED[DESKTOP], decode_s=0.3), DESKTOP, ears_free=True)
    assert "partial transcripts would be late" in ears_told(slow, loaded=True)
    assert ears_told(FREE, loaded=True).startswith("whisper-base hears: ")
    assert "from the next start on" in ears_told(FREE, loaded=False)
    assert ears_told(PLAN, loaded=True) == ""


async def test_ears_that_are_chosen_in_a_first_start_hear_from_the_next_one_on(tmp_path: Path) -> None:
    first = Fitting(Settings(), (), DESKTOP, KEY, tmp_path, print)
    await first.measure(Clocked(base_s=0.01), Ears(), Voice())
    assert "whisper-base hears from the next start on" in first.told()
    again = Fitting(Settings(), (), DESKTOP, KEY, tmp_path, print, recall(tmp_path, KEY))
    assert "whisper-base hears: " in again.told()


async def test_the_first_start_measures_and_the_second_knows(tmp_path: Path) -> None:
    engine = Clocked()
    first, lines = fitting(tmp_path)
    await first.measure(engine, Ears(), Voice())
    assert len(lines) == 1
    assert "measuring this machine" in lines[0]
    again, lines = fitting(tmp_path, measured=first.measured)
    steps = engine.steps
    await again.measure(engine, Ears(), Voice())
    assert (engine.steps, lines) == (steps, [])
    assert again.plan == first.plan
    assert again.now == fitted(Settings(), (), choose(first.measured or MEASURED[SMALL], SMALL))


async def test_the_engine_takes_what_is_chosen(tmp_path: Path) -> None:
    engine = Clocked()
    one, _ = fitting(tmp_path, given={"engine.threads"}, measured=MEASURED[SMALL])
    await one.fit(engine)
    assert engine.threads == Settings().engine.threads
    assert engine.usual_s == MEASURED[SMALL].steps_s


async def test_a_machine_that_cannot_be_measured_runs_as_it_is_set(tmp_path: Path) -> None:
    one, lines = fitting(tmp_path)
    await one.measure(Clocked(base_s=float("nan")), Ears(), Voice())
    assert one.plan is None
    assert one.now == one.settings
    assert any("could not be measured" in line for line in lines)
    assert recall(tmp_path, KEY) is None


def started(folder: Path, file: Path, *, busy: bool = False) -> tuple[Fitting, list[str]]:
    lines: list[str] = []
    settings = load(overrides={"engine.native": "off", "models.llm": str(file)}).settings
    return begin(settings, (), file, lines.append, folder=folder, busy=lambda: busy), lines


@pytest.fixture
def model(tmp_path: Path) -> Path:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"a model")
    return file


def test_a_kept_measurement_is_found_again(tmp_path: Path, model: Path) -> None:
    folder = tmp_path / "plans"
    first, _ = started(folder, model)
    assert first.measured is None
    keep(folder, first.key, MEASURED[SMALL])
    again, lines = started(folder, model)
    assert (again.measured, lines) == (MEASURED[SMALL], [])
    model.write_bytes(b"another model")
    assert started(folder, model)[0].measured is None


async def test_a_torn_file_is_measured_anew_with_a_line(tmp_path: Path, model: Path) -> None:
    folder = tmp_path / "plans"
    key = started(folder, model)[0].key
    folder.mkdir()
    file_of(folder, key).write_text('{"key": ')
    one, lines = started(folder, model)
    assert (one.measured, lines) == (None, [])
    await one.measure(Clocked(), Ears(), Voice())
    assert len(lines) == 1
    assert "measuring this machine anew" in lines[0]
    assert "cannot be read" in lines[0]
    assert recall(folder, key) == one.measured


def test_what_was_measured_on_a_busy_machine_is_measured_again_in_peace(tmp_path: Path, model: Path) -> None:
    folder = tmp_path / "plans"
    keep(folder, started(folder, model)[0].key, replace(MEASURED[SMALL], busy=True))
    assert started(folder, model, busy=True)[0].measured is not None
    assert started(folder, model, busy=False)[0].measured is None


@pytest.mark.parametrize(
    ("before", "after", "share"),
    [
        ("cpu 0 0 0 0 0 0 0 0 0 0\ncpu0 1", "cpu 10 0 0 30 0 0 0 0 0 0\n", 0.25),
        ("cpu 5 5 5 100 0 0 0 0", "cpu 5 5 5 140 0 0 0 0", 0.0),
        ("cpu 0 0 0 0 0 0 0 0", "cpu 0 0 0 0 10 0 0 30", 0.75),
        ("cpu 1 1 1 1 1", "cpu 1 1 1 1 1", 0.0),
        ("", "", 0.0),
        ("cpu", "nonsense 1 2", 0.0),
    ],
)
def test_how_busy_a_machine_is_stands_in_what_the_kernel_counts(before: str, after: str, share: float) -> None:
    assert busy_share(before, after) == share


def test_what_is_shown_tells_what_was_chosen_and_sets_nothing(tmp_path: Path) -> None:
    loaded = load(overrides={"loop.fillers": 1})
    one, _ = fitting(tmp_path, measured=MEASURED[SMALL])
    text = render(loaded, PLAN.settings(), one.measurements())
    assert "# partial_every_ms = 2000\n" in text
    assert text.count("[chosen for this machine]") == len(PLAN.settings()) - 1
    assert re.search(r"\[command line\]\n# From 0 to 2: .*\.\nfillers = 1\n", text)
    assert "# measured: a step of 1 to 8 rows: 57, 66," in text
    file = tmp_path / "again.toml"
    file.write_text(text)
    assert not load(file).origins.keys() & (PLAN.settings().keys() - {"loop.fillers"})


@pytest.mark.parametrize(
    ("lines", "name"),
    [
        (["processor\t: 0", "model name\t: One", "", "processor\t: 1", "model name\t: Two"], "One"),
        (["processor : 0", "CPU implementer : 0x41", "CPU part : 0xd0b", "Model : A board"], "A board"),
        (["processor : 0", "CPU part\t: 0xd0b"], "0xd0b"),
        (["flags:"], ""),
        ([], ""),
    ],
)
def test_processors_are_known_by_what_the_kernel_tells(lines: list[str], name: str) -> None:
    assert processor_in(lines) == name


def test_a_machine_is_told_with_its_kernels(tmp_path: Path, model: Path) -> None:
    machine = started(tmp_path, model)[0].machine
    assert isinstance(machine, Machine)
    assert machine.kernels == "torch"
    assert machine.cores >= 1
