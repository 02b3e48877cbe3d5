"""Profiles of language models, from the settings to the loop."""

from __future__ import annotations

from collections.abc import Container
from typing import TYPE_CHECKING, cast

import pytest

from agent.config.settings import Settings
from agent.models.assembly import OpenModels
from reasoning.options import LoopOptions
from reasoning.prompting.profiles.profile import ModelProfile, RoleBudgets
from reasoning.prompting.script import FAMILIES, Script
from tests.agent.apps.test_model_folders import BUDGET, write_folder
from tests.agent.command_line import Descant, descant
from tests.reasoning.prompting import chat_templates
from tests.reasoning.scripted_engine import Words

if TYPE_CHECKING:
    from reasoning.engine.contract import Engine

__all__ = ["descant"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[mine]\nmodels = ['*']\nbudget = {}\n", "there is no field mine.budget"),
        ("[mine]\nmodels = ['*']\nbudgets.think_tokens = -5\n", "mine.budgets.think_tokens = -5"),
        ("[mine\n", "is not valid TOML"),
        (None, "cannot be read"),
    ],
)
def test_a_file_of_profiles_that_is_wrong_ends_the_start_in_a_line(
    text: str | None, told: str, descant: Descant
) -> None:
    file = descant.home / "mine.toml"
    if text is not None:
        file.write_text(text)
    folder = write_folder(descant.home / "model", "qwen3")
    done = descant("--set", "models.profiles=~/mine.toml", "ask", "why?", "--model", str(folder))
    assert (done.code, done.out) == (2, "")
    assert str(file) in done.line
    assert told in done.line


def test_a_folder_whose_template_opens_thoughts_by_itself_is_asked_a_question(descant: Descant) -> None:
    folder = write_folder(descant.home / "model", "qwen3")
    (folder / "chat_template.jinja").write_text(chat_templates.QWEN3_THINKING, "utf-8")
    done = descant(*BUDGET, "ask", "why is the sky as blue as it is?", "--model", str(folder), "--timeline", "t.jsonl")
    assert (done.code, done.err) == (0, "")
    assert '"turn_done"' in (descant.home / "t.jsonl").read_text()


@pytest.mark.parametrize(
    ("given", "tokens"),
    [((), 900), ({"loop.think_tokens"}, LoopOptions().think_tokens), (None, LoopOptions().think_tokens)],
)
def test_the_budgets_of_the_models_profile_hold_where_nobody_set_any(given: Container[str] | None, tokens: int) -> None:
    profile = ModelProfile("mine", ("*",), budgets=RoleBudgets(think_tokens=900))
    script = Script(Words(), FAMILIES[0], profile=profile)
    models = OpenModels(Settings(), cast("Engine", None), script, pytest.fail, given=given)
    assert models.settings.loop.think_tokens == tokens


def test_a_calibration_overwrites_no_file(descant: Descant) -> None:
    file = descant.home / "mine.toml"
    file.write_text("# mine\n")
    done = descant("models", "calibrate", "--output", str(file))
    assert (done.code, done.out) == (2, "")
    assert f"{file} is there already" in done.line
    assert file.read_text() == "# mine\n"
