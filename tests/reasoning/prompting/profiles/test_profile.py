from __future__ import annotations

from dataclasses import replace

import pytest

from reasoning.options import LoopOptions
from reasoning.prompting.profiles.profile import (
    UNKNOWN,
    Calibration,
    ModelProfile,
    RoleBudgets,
    RoleSampling,
    profile_of,
)
from reasoning.prompting.profiles.reading import shipped_profiles

HOT = RoleSampling(0.6, 0.95, 20)
MINE = ModelProfile("mine", ("*mine*",), calibration=Calibration("Mine 7B", "en", 1.0, 2.0, 3.0))


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("Qwen2.5 Coder 1.5B Instruct", "qwen2.5-coder-1.5b"),
        ("/models/Qwen/Qwen2.5-Coder-1.5B-Instruct qwen", "qwen2.5-coder-1.5b"),
        ("Qwen2.5 Coder 0.5B Instruct", "unknown"),
        ("Qwen3 0.6B", "qwen3"),
        ("Qwen/Qwen3-32B Qwen/Qwen3-32B", "qwen3"),
        ("Qwen3 4B Instruct 2507", "qwen3-instruct-2507"),
        ("Qwen3_4B_Thinking_2507", "qwen3-thinking-2507"),
        ("DeepSeek R1 Distill Llama 8B", "deepseek-r1"),
        ("SmolLM3 3B", "smollm3"),
        ("SmolLM2 135M Instruct", "unknown"),
        ("", "unknown"),
    ],
)
def test_the_shipped_profile_of_a_model_is_found_by_its_publishers_name(model: str, name: str) -> None:
    assert profile_of(model, shipped_profiles()).name == name


def test_the_publishers_advice_ships() -> None:
    def sampled(model: str) -> tuple[RoleSampling, RoleSampling]:
        profile = profile_of(model, shipped_profiles())
        return profile.thinker, profile.writer

    assert sampled("Qwen3 4B") == (HOT, RoleSampling(0.7, 0.8, 20))
    assert sampled("Qwen3 4B Thinking 2507") == (HOT, HOT)
    assert sampled("Qwen3 4B Instruct 2507") == (RoleSampling(0.7, 0.8, 20),) * 2
    assert sampled("DeepSeek R1 Distill Qwen 7B") == (RoleSampling(0.6, 0.95),) * 2
    assert sampled("Qwen2.5 Coder 1.5B Instruct") == sampled("any") == (RoleSampling(),) * 2


def test_the_first_that_fits_is_a_models_profile() -> None:
    own = replace(MINE, name="first", models=("*qwen3*",))
    assert profile_of("Qwen3 8B", [own, *shipped_profiles()]).name == "first"
    assert profile_of("Other", [own]) == UNKNOWN


@pytest.mark.parametrize(
    ("model", "holds"), [("mine 7b q4", True), ("Mine_7B", True), ("Mine 70B", False), ("mine", False)]
)
def test_a_calibration_holds_for_the_model_that_it_was_measured_on(model: str, *, holds: bool) -> None:
    found = profile_of(model, [MINE])
    assert found.name == "mine"
    assert (found.calibration is not None) is holds


def test_budgets_stand_where_nobody_set_any() -> None:
    profile = replace(MINE, budgets=RoleBudgets(think_tokens=900, sentence_tokens=60))
    options = LoopOptions(think_tokens=100)
    assert profile.budgeted(options, given=()) == replace(options, think_tokens=900, sentence_tokens=60)
    assert profile.budgeted(options, given={"loop.think_tokens"}) == replace(options, sentence_tokens=60)
    assert MINE.budgeted(options, given=()) == options
