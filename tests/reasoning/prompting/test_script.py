from __future__ import annotations

from dataclasses import fields, replace

import pytest

from languages.german import LANGUAGE as GERMAN
from reasoning.policies.grounding import numbers
from reasoning.prompting.chat_template import ChatTemplate
from reasoning.prompting.profiles.profile import UNKNOWN, Calibration
from reasoning.prompting.script import FAMILIES, Family, Script, family_of
from reasoning.prompting.tokenizer import Tokenizer
from tests.reasoning.model_files import model_file
from tests.reasoning.prompting import chat_templates
from tests.reasoning.scripted_engine import END, Words


@pytest.fixture(scope="module")
def qwen() -> Tokenizer:
    return Tokenizer.from_gguf(model_file("qwen2.5-coder-1.5b"))


def shown(tokenizer: Tokenizer, ids: list[int]) -> str:
    names = {token: name for name, token in tokenizer.special.items()}
    return b"".join(names[token].encode() if token in names else tokenizer.token_bytes(token) for token in ids).decode()


def conversation(script: Script, question: str, heard: str) -> list[int]:
    """Two turns, as the loop puts them together."""
    words = script.tokenizer.encode
    return [
        *script.prompt, *words(question),
        *script.heard_open, *words(heard), *script.heard_close,
        *words(question), *script.think_open, *words("It is so."), *script.think_close, *script.close,
        *script.step_open, *words("So."), *script.close,
        *script.result_open,
    ]  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
def test_messages_alternate_and_each_is_closed(family: Family) -> None:
    script = Script(Words(), family)
    text = shown(script.tokenizer, conversation(script, "Why?", "So."))
    messages = text.split("<|im_start|>")
    assert messages[0] == ""
    assert [message.partition("\n")[0] for message in messages[1:]] == ["system"] + ["user", "assistant"] * 4
    assert all(message.count(END) == 1 for message in messages[1:-1])
    assert all(message.endswith(f"{END}\n") for message in messages[1:-1])
    assert messages[-1] == "assistant\n"


@pytest.mark.parametrize("family", FAMILIES)
def test_the_prompts_are_those_of_the_models_own_template(qwen: Tokenizer, family: Family) -> None:
    script = Script(qwen, family)
    assert qwen.template is not None
    messages = [
        {"role": "system", "content": family.prompts.system},
        {"role": "user", "content": "Why?"},
        {"role": "assistant", "content": "So."},
        {"role": "user", "content": "Why?"},
    ]
    words = qwen.encode
    ours = [*script.prompt, *words("Why?"), *script.heard_open, *words("So."), *script.heard_close, *words("Why?")]
    theirs = qwen.template.render(messages, add_generation_prompt=False)
    assert theirs.startswith(shown(qwen, ours))


@pytest.mark.parametrize("family", FAMILIES)
def test_yes_and_no_are_told_apart_by_one_token(qwen: Tokenizer, family: Family) -> None:
    script = Script(qwen, family)
    yes, no = script.yes_no
    assert yes
    assert no
    assert not yes & no
    assert {qwen.decode([token]).strip().lower() for token in yes} == {"yes"}
    assert {qwen.decode([token]).strip().lower() for token in no} == {"no"}


@pytest.mark.parametrize("family", FAMILIES)
def test_streams_may_end_and_write_no_other_control_token(qwen: Tokenizer, family: Family) -> None:
    script = Script(qwen, family)
    special = set(qwen.special.values())
    assert script.ends
    assert script.ends <= script.think_ends
    assert not script.bans & script.think_ends
    assert special == script.bans | (script.think_ends & special)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_goes_on_with_thoughts_opens_nothing_twice(family: Family) -> None:
    script = Script(Words(), family)
    text = shown(script.tokenizer, [*script.think_open, *script.tokenizer.encode(" one\n"), *script.resume_open])
    assert text.count("<|im_start|>") == 1
    assert text.count("<think>") <= 1


@pytest.mark.parametrize("family", FAMILIES)
def test_the_wording_grounds_no_number(family: Family) -> None:
    for each in fields(family):
        wording = getattr(family, each.name)
        if isinstance(wording, str):
            assert not numbers(wording) - {0.0, 1.0}, each.name


@pytest.mark.parametrize("name", ["Qwen3 1.7B", "QWEN3-4B-Instruct", "Qwen2.5 Coder 1.5B Instruct", "", "anything"])
def test_a_name_alone_makes_no_model_one_that_thinks_in_tags(name: str) -> None:
    assert not family_of(name).think_end


def test_a_name_does_so_where_a_profile_says_that_the_template_does_not_tell() -> None:
    assert family_of("DeepSeek R1 Distill Qwen 1.5B").think_end == "</think>"


def test_the_system_text_can_be_replaced() -> None:
    script = Script(Words(), FAMILIES[-1], "Answer in rhymes.")
    assert "Answer in rhymes." in shown(script.tokenizer, script.prompt)
    assert FAMILIES[-1].prompts.system not in shown(script.tokenizer, script.prompt)


def test_a_model_that_thinks_in_tags_keeps_them_in_every_language_and_with_instructions() -> None:
    family = family_of("any", ChatTemplate(chat_templates.QWEN3))
    script = Script(Words(), family, profile=replace(UNKNOWN, name="mine"))
    for other in (
        script.in_language(GERMAN),
        script.instructed("Rhyme."),
        script.instructed("Rhyme.").in_language(GERMAN),
    ):
        assert other.profile is script.profile
        shown_there = [shown(other.tokenizer, ids) for ids in (other.think_open, other.think_close, other.reply_open)]
        assert shown_there == [
            shown(script.tokenizer, ids) for ids in (script.think_open, script.think_close, script.reply_open)
        ]
    assert script.in_language(GERMAN).family.prompts.step_request == GERMAN.prompts.found_request
    assert "Rhyme." in shown(script.tokenizer, script.instructed("Rhyme.").prompt)


def test_numbers_of_the_need_question_hold_for_the_language_that_they_were_measured_in() -> None:
    measured = Calibration("any", "de", 1.0, 2.0, 3.0)
    script = Script(Words(), FAMILIES[0], profile=replace(UNKNOWN, calibration=measured))
    assert script.calibration is None
    assert script.in_language(GERMAN).calibration == measured
    default = Script(Words(), FAMILIES[0]).in_language(GERMAN).calibration
    assert default is not None
    assert default.need_bias == GERMAN.prompts.need_bias
