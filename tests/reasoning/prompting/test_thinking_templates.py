"""How models think, from their chat templates. The templates are reduced ones: see `chat_templates`."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from reasoning.errors import BadModel
from reasoning.prompting.chat_template import ChatTemplate, ThinkingCut
from tests.reasoning.prompting import chat_templates as reduced

NOW = datetime(2026, 3, 9, tzinfo=UTC)
EMPTY = "<think>\n\n</think>\n\n"
ALL = {name: text for name, text in vars(reduced).items() if name.isupper() and not name.startswith("_")}
CONVERSATION = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "Why?"},
    {"role": "assistant", "content": "So."},
    {"role": "user", "content": "And then?"},
]


def template(source: str) -> ChatTemplate:
    return ChatTemplate(source, bos_token="<s>", eos_token="</s>", now=NOW)  # noqa: S106


@pytest.mark.parametrize(
    ("source", "found"),
    [
        (reduced.QWEN3, ThinkingCut("tagged", "<think>\n", EMPTY)),
        (reduced.QWEN3_OFF, ThinkingCut("tagged", "<think>\n", EMPTY)),
        (reduced.QWEN3_THINKING, ThinkingCut("always", "<think>\n", EMPTY)),
        (reduced.R1_DISTILLED, ThinkingCut("always", "<think>\n", EMPTY)),
        (reduced.SMOLLM3, ThinkingCut("tagged", "<think>\n", "<think>\n\n</think>\n")),
        *((source, None) for source in (reduced.QWEN3_INSTRUCT, reduced.R1_FIRST, reduced.LLAMA3, reduced.LLAMA2)),
        *((source, None) for source in (reduced.GEMMA3, reduced.GEMMA2, reduced.LATE_SYSTEM)),
    ],
)
def test_a_template_tells_how_its_model_thinks(source: str, found: ThinkingCut | None) -> None:
    assert template(source).thinking() == found


@pytest.mark.parametrize("name", sorted(ALL))
def test_what_a_template_was_cut_into_makes_up_what_it_writes(name: str) -> None:
    one = template(ALL[name])
    cut = one.cut()
    first = cut.user_open if cut.first_user_open is None else cut.first_user_open
    ours = (
        f"{cut.system_open}Be kind.{cut.system_close}{first}Why?{cut.user_close}"
        f"{cut.assistant_open}So.{cut.assistant_close}{cut.user_open}And then?{cut.user_close}"
    )
    if name in {"GEMMA2", "LATE_SYSTEM"}:
        told = {"role": "user", "content": "Be kind.\n\nWhy?"}
        assert one.render([told, *CONVERSATION[2:]]) == ours
    else:
        assert one.render(CONVERSATION) == ours


def test_a_reply_is_opened_without_what_opens_thoughts() -> None:
    for source in (reduced.QWEN3, reduced.QWEN3_OFF, reduced.QWEN3_THINKING, reduced.SMOLLM3):
        assert template(source).cut().assistant_open == "<|im_start|>assistant\n"
    assert template(reduced.R1_DISTILLED).cut().assistant_open == "<｜Assistant｜>"


def test_thoughts_and_their_absence_are_opened_as_the_template_does() -> None:
    for source in (reduced.QWEN3_OFF, reduced.QWEN3, reduced.QWEN3_THINKING):
        one = template(source)
        found = one.thinking()
        assert found is not None
        opened = one.render(CONVERSATION, add_generation_prompt=True, enable_thinking=True)
        assert (opened + found.opening).count("<think>") >= 1
        assert one.render(CONVERSATION) + one.cut().assistant_open + found.opening in {opened, opened + found.opening}
    for source in (reduced.QWEN3_OFF, reduced.QWEN3):
        one = template(source)
        closed = one.render(CONVERSATION, add_generation_prompt=True, enable_thinking=False)
        assert closed == one.render(CONVERSATION) + one.cut().assistant_open + EMPTY


def test_where_thoughts_are_left_out_by_a_word_an_empty_block_stands_for_them_too() -> None:
    said = reduced.SMOLLM3.replace('{%- if mode == "/no_think" -%}{{- "<think>\\n\\n</think>\\n" -}}{%- endif -%}', "")
    assert said != reduced.SMOLLM3
    assert template(said).thinking() == ThinkingCut("tagged", "<think>\n", EMPTY)


@pytest.mark.parametrize("source", [reduced.LLAMA3, reduced.SMOLLM3])
def test_the_date_that_a_template_writes_is_given(source: str) -> None:
    assert "09 Mar" in template(source).cut().system_open


def test_other_tags_are_looked_for_where_a_profile_names_them() -> None:
    source = reduced.R1_DISTILLED.replace("<think>", "[THINK]").replace("</think>", "[/THINK]")
    assert template(source).thinking() is None
    found = template(source).thinking("[THINK]", "[/THINK]")
    assert found == ThinkingCut("always", "[THINK]\n", "[THINK]\n\n[/THINK]\n\n")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{% generation %}" + reduced.QWEN3, "cannot be read"),
        (reduced.SMOLLM3.replace("strftime_now", "clock_of_mine"), "cannot be rendered"),
        (reduced.R1_DISTILLED.replace("<think>\\n", "' + raise_exception('no replies') + '"), "no replies"),
        (reduced.QWEN3_THINKING.replace("'<think>\\n'", "'Sure, '"), "several ways"),
    ],
)
def test_a_template_that_is_of_no_use_is_refused_in_one_line(source: str, message: str) -> None:
    with pytest.raises(BadModel, match=message) as caught:
        template(source).thinking()
    assert "\n" not in str(caught.value)
