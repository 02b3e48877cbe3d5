from __future__ import annotations

import pytest

from reasoning.errors import BadModel
from reasoning.prompting.chat_template import ChatCut, ChatTemplate

CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
HEADERS = """
{{- bos_token }}
{%- if messages[0]['role'] == 'system' %}
    {%- set system = messages[0]['content'] | trim %}
    {%- set messages = messages[1:] %}
{%- endif %}
{{- "[system] Today is a day.\n" + system + "[end]" }}
{%- for message in messages %}
    {{- '[' + message['role'] + ']' + message['content'] | trim + eos_token }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '[assistant]' }}{% endif %}
"""


def test_rendering_follows_the_template() -> None:
    messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}]
    text = ChatTemplate(CHATML).render(messages, add_generation_prompt=True)
    assert text == ("<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n")


def test_a_template_is_cut_at_its_contents() -> None:
    assert ChatTemplate(CHATML).cut() == ChatCut(
        system_open="<|im_start|>system\n",
        system_close="<|im_end|>\n",
        user_open="<|im_start|>user\n",
        user_close="<|im_end|>\n",
        assistant_open="<|im_start|>assistant\n",
        assistant_close="<|im_end|>\n",
    )


def test_a_template_with_a_preamble_and_trimmed_contents_is_cut() -> None:
    template = ChatTemplate(HEADERS, bos_token="<s>", eos_token="</s>")  # noqa: S106
    assert template.cut() == ChatCut(
        system_open="<s>[system] Today is a day.\n",
        system_close="[end]",
        user_open="[user]",
        user_close="</s>",
        assistant_open="[assistant]",
        assistant_close="</s>",
    )


def test_a_template_that_marks_only_the_last_answer_as_thought_through_is_cut() -> None:
    answer = "{% if message.role == 'assistant' and loop.last %}<think>\n\n</think>\n\n{% endif %}"
    head, body, tail = CHATML.partition("{{ '<|im_start|>' + message['role'] + '\n' + message['content']")
    source = head + "{{ '<|im_start|>' + message['role'] + '\n' }}" + answer + "{{ message['content']" + tail
    assert body
    assert "<think>" in ChatTemplate(source).render([{"role": "assistant", "content": "Hi"}])
    assert ChatTemplate(source).cut() == ChatTemplate(CHATML).cut()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{ messages[1].content }}", "cannot be cut: .* system message 0 times"),
        ("{{ messages[0].content }}" + CHATML, "cannot be cut: .* system message 2 times"),
        (CHATML.replace("in messages", "in messages | reverse"), "cannot be cut: .* out of order"),
        (CHATML.replace("'<|im_end|>\n'", "'<|im_end|>' ~ loop.index"), "several ways"),
        ("{{ raise_exception('no system messages') }}", "cannot be rendered: .*no system messages"),
        ("{{ messages[0].absent.deeper }}", "cannot be rendered: UndefinedError"),
        ("{{ messages.append(1) }}", "cannot be rendered: SecurityError"),
        ("{{ ''.__class__.__mro__ }}", "cannot be rendered: SecurityError"),
        ("{{ 'a' * 10 ** 10 }}", "cannot be rendered: it needs more memory"),
        ("{% for i in range(90000) %}0123456789{% endfor %}", "writes more than 262144 characters"),
        ("{% for %}", "cannot be read: TemplateSyntaxError"),
        (" " * 300_000, "has 300000 characters"),
    ],
)
def test_a_template_that_is_of_no_use_is_refused_in_one_line(source: str, message: str) -> None:
    with pytest.raises(BadModel, match=message) as caught:
        ChatTemplate(source, where="m.gguf: the chat template").cut()
    assert str(caught.value).startswith("m.gguf: the chat template ")
    assert "\n" not in str(caught.value)


def test_what_published_templates_use_is_there() -> None:
    source = (
        "{% for message in messages %}{% if loop.index0 % 2 %}{% continue %}{% endif %}"
        "{{ message | tojson }}{% endfor %}"
    )
    text = ChatTemplate(source).render([{"role": "user", "content": "<é'>"}, {"role": "user", "content": "no"}])
    assert text == '{"role": "user", "content": "<é\'>"}'
