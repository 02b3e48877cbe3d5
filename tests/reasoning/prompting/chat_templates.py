"""Chat templates of published families, reduced: written anew with the structure that matters here, and nothing else.

Kept of each: how it heads the conversation, opens and closes turns, what it does with thoughts of earlier replies, and
how it opens a reply. Left out: tools, several parts of a content, and longer wording.
"""

from __future__ import annotations

from typing import Final

_STRIPS: Final = (
    "{%- if '</think>' in content %}{%- set content = content.split('</think>')[-1].lstrip('\\n') %}{%- endif %}"
)
"""Takes the thoughts out of an earlier reply."""


def _chatml(opening: str, answer: str = "{{- '<|im_start|>assistant\\n' + content + '<|im_end|>\\n' }}") -> str:
    return (
        "{%- if messages[0].role == 'system' %}"
        "{{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}{%- endif %}"
        "{%- set ns = namespace(last=messages|length - 1) %}"
        "{%- for message in messages[::-1] %}{%- if message.role == 'user' and not ns.found is defined %}"
        "{%- set ns.found = true %}{%- set ns.last = messages|length - 1 - loop.index0 %}{%- endif %}{%- endfor %}"
        "{%- for message in messages %}{%- set content = message.content %}"
        "{%- if message.role == 'user' or (message.role == 'system' and not loop.first) %}"
        "{{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>\\n' }}"
        "{%- elif message.role == 'assistant' %}" + _STRIPS + answer + "{%- endif %}{%- endfor %}"
        "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}" + opening + "{%- endif %}"
    )


_LAST_MARKED: Final = (
    "{%- if loop.index0 > ns.last and loop.last %}"
    "{{- '<|im_start|>assistant\\n<think>\\n\\n</think>\\n\\n' + content + '<|im_end|>\\n' }}"
    "{%- else %}{{- '<|im_start|>assistant\\n' + content + '<|im_end|>\\n' }}{%- endif %}"
)
QWEN3: Final = _chatml(
    "{%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}",
    _LAST_MARKED,
)
"""Qwen3, 0.6B to 32B: thinks unless it is told not to."""
QWEN3_OFF: Final = _chatml(
    "{%- if enable_thinking is defined and enable_thinking is true %}{{- '<think>\\n' }}"
    "{%- else %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}",
)
"""A later one of the same house, whose thoughts are off where nobody asks for them."""
QWEN3_INSTRUCT: Final = _chatml("")
"""Qwen3-Instruct-2507: never thinks, but takes thoughts of others out of the history."""
QWEN3_THINKING: Final = _chatml("{{- '<think>\\n' }}", _LAST_MARKED)
"""Qwen3-Thinking-2507: opens its thoughts by itself."""
_R1: Final = (
    "{%- set ns = namespace(system='') -%}{%- for message in messages -%}{%- if message['role'] == 'system' -%}"
    "{%- set ns.system = message['content'] -%}{%- endif -%}{%- endfor -%}{{ bos_token }}{{ ns.system }}"
    "{%- for message in messages -%}{%- if message['role'] == 'user' -%}{{ '<｜User｜>' + message['content'] }}"
    "{%- elif message['role'] == 'assistant' -%}{%- set content = message['content'] -%}"
    "{%- if '</think>' in content -%}{%- set content = content.split('</think>')[-1] -%}{%- endif -%}"
    "{{ '<｜Assistant｜>' + content + '<｜end▁of▁sentence｜>' }}{%- endif -%}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<｜Assistant｜>OPENING' }}{%- endif -%}"
)
R1_DISTILLED: Final = _R1.replace("OPENING", "<think>\\n")
"""DeepSeek-R1 distillates, of Qwen and of Llama alike."""
R1_FIRST: Final = _R1.replace("OPENING", "")
"""The same as first published: nothing in it says that the model thinks."""
SMOLLM3: Final = """
{%- if enable_thinking is not defined -%}{%- set enable_thinking = true -%}{%- endif -%}
{%- set mode = "/think" if enable_thinking else "/no_think" -%}
{{- "<|im_start|>system\\nToday: " ~ strftime_now("%d %B %Y") ~ "\\nMode: " ~ mode ~ "\\n\\n" -}}
{%- if messages[0].role == "system" -%}{{- messages[0].content.rstrip() ~ "\\n\\n" -}}{%- endif -%}
{{- "<|im_end|>\\n" -}}
{%- for message in messages -%}
  {%- if message.role == "user" -%}{{- "<|im_start|>user\\n" + message.content + "<|im_end|>\\n" -}}
  {%- elif message.role == "assistant" -%}
    {%- generation -%}
    {%- if mode == "/think" -%}
      {{- "<|im_start|>assistant\\n" + message.content.lstrip("\\n") + "<|im_end|>\\n" -}}
    {%- else -%}
      {{- "<|im_start|>assistant\\n<think>\\n\\n</think>\\n" + message.content.lstrip("\\n") + "<|im_end|>\\n" -}}
    {%- endif -%}
    {%- endgeneration -%}
  {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
  {{- "<|im_start|>assistant\\n" -}}
  {%- if mode == "/no_think" -%}{{- "<think>\\n\\n</think>\\n" -}}{%- endif -%}
{%- endif -%}
"""
LLAMA3: Final = """
{{- bos_token }}
{%- set date = strftime_now("%d %b %Y") if strftime_now is defined else "26 Jul 2024" %}
{%- if messages[0]['role'] == 'system' %}
  {%- set system = messages[0]['content'] | trim %}{%- set messages = messages[1:] %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\nToday Date: " + date + "\\n\\n" + system + "<|eot_id|>" }}
{%- for message in messages %}
  {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{%- endif %}
"""
LLAMA2: Final = (
    "{% if messages[0]['role'] == 'system' %}"
    "{% set told = '<<SYS>>\\n' + messages[0]['content'] + '\\n<</SYS>>\\n\\n' %}"
    "{% set messages = messages[1:] %}{% else %}{% set told = '' %}{% endif %}{% for message in messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}"
    "{% set content = told + message['content'] if loop.index0 == 0 else message['content'] %}"
    "{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}"
    "{% else %}{{ ' ' + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"
)
"""Has no message for the system's text, and no opening for a reply."""
_GEMMA: Final = (
    "{{ bos_token }}{%- for message in messages -%}"
    "{%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}{{ raise_exception('roles must alternate') }}"
    "{%- endif -%}{%- set role = 'model' if message['role'] == 'assistant' else message['role'] -%}"
    "{{ '<start_of_turn>' + role + '\\n' + (head if loop.first else '') }}"
    "{{ message['content'] | trim + '<end_of_turn>\\n' }}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<start_of_turn>model\\n' }}{%- endif -%}"
)
GEMMA3: Final = (
    "{%- set head = '' -%}{%- if messages[0]['role'] == 'system' -%}"
    "{%- set head = messages[0]['content'] + '\\n\\n' -%}{%- set messages = messages[1:] -%}{%- endif -%}"
) + _GEMMA
"""Puts the system's text before the user's first words."""
GEMMA2: Final = (
    "{%- set head = '' -%}{%- if messages[0]['role'] == 'system' -%}"
    "{{ raise_exception('no system role') }}{%- endif -%}"
) + _GEMMA
"""Refuses a system message."""
LATE_SYSTEM: Final = (
    "{{ bos_token }}{%- set system = messages[0]['content'] if messages[0]['role'] == 'system' else '' -%}"
    "{%- for message in messages -%}{%- if message['role'] == 'user' -%}"
    "{{ '[INST]' + (system + '\\n\\n' if loop.last and system else '') + message['content'] + '[/INST]' }}"
    "{%- elif message['role'] == 'assistant' -%}{{ ' ' + message['content'] + eos_token }}{%- endif -%}{%- endfor -%}"
)
"""Puts the system's text before the user's last words, wherever these are."""
