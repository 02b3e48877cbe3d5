"""A model file's chat template is somebody else's program: it gets so much time and memory, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import jinja2
import pytest

from reasoning.errors import BadModel
from reasoning.prompting import confined
from reasoning.prompting.chat_template import ChatTemplate
from reasoning.prompting.rendering import TemplateLimits
from tests.reasoning.prompting.test_chat_template import CHATML

LITTLE = TemplateLimits(memory=64 << 20, cpu_s=0.3)
UNLIMITED = TemplateLimits(memory=64 << 20, cpu_s=0.3, by_system=False)
"""As on a system that keeps no limit of memory."""

LONG = {
    "loops": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "macros": "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(40) }}",
    "powers": "{{ (7 ** (9 ** 9)) | length }}",
    "sums": "{% for a in range(99999) %}{% if range(99999) | sum %}{% endif %}{% endfor %}",
    "searches": "{% set s = 'a' * 999999 %}{% for a in range(99999) %}{% if 'b' in s %}{% endif %}{% endfor %}",
}
DOUBLED = "{{% set n = namespace(x={}) %}}{{% for i in range(40) %}}{{% set n.x = n.x {} n.x %}}{{% endfor %}}"
LARGE = {
    "tilde": DOUBLED.format("'aaaaaaaa'", "~"),
    "plus": DOUBLED.format("'aaaaaaaa'", "+"),
    "lists": DOUBLED.format("[1, 2]", "+"),
    "tuples": DOUBLED.format("(1, 2)", "+"),
    "times": "{{ ('a' * 4000000000) | length }}",
    "times lists": "{{ ([0] * 4000000000) | length }}",
    "ljust": "{{ 'a'.ljust(3000000000) | length }}",
    "rjust": "{{ messages[0].role.rjust(3000000000) | length }}",
    "center": "{{ messages[0].role.center(3000000000) | length }}",
    "zfill": "{{ '1'.zfill(3000000000) | length }}",
    "center filter": "{{ messages[0].role | center(4000000000) }}",
    "folded center": "{{ 'a' | center(4000000000) }}",
    "percent": "{{ '%4000000000d' | format(1) | length }}",
    "percent operator": "{{ ('%4000000000d' % 1) | length }}",
    "format": "{{ '{:>4000000000}'.format(1) | length }}",
    "indent": "{{ 'a\\na' | indent(3000000000) | length }}",
    "tojson": "{{ [1] | tojson(indent=3000000000) | length }}",
    "replace": "{{ ('a' * 65536) | replace('a', 'b' * 65536) | length }}",
    "join": "{{ range(99999) | join('a' * 99999) | length }}",
    "batch": "{{ [1] | batch(3000000000, 'a') | list | length }}",
    "slice": "{{ [1] | slice(1000000000) | list | length }}",
    "lipsum": "{{ lipsum(n=99999999) | length }}",
    "blocks": "{% set n = namespace(x='a' * 9999) %}{% for i in range(40) %}{% set y %}{{ n.x }}{{ n.x }}{% endset %}"
    "{% set n.x = y %}{% endfor %}",
    "expandtabs": "{{ '\\t'.expandtabs(2000000000) | length }}",
    "attributes": "{{ {'a' * 99999999: 1, 'b': 'c' * 99999999} | xmlattr | length }}",
}
ESCAPES = (
    "{{ ''.__class__ }}",
    "{{ ''['__class__']['__mro__'] }}",
    "{{ ''|attr('__class__') }}",
    "{{ '{0.__class__}'.format('') }}",
    "{{ '{x.__globals__}'.format_map({'x': raise_exception}) }}",
    "{{ raise_exception.__globals__ }}",
    "{{ strftime_now.__self__.__class__ }}",
    "{{ self.__init__.__globals__ }}",
    "{{ cycler.__init__.__globals__.os }}",
    "{{ joiner.__init__.__globals__.os.popen('id').read() }}",
    "{{ namespace.__init__.__globals__ }}",
    "{{ lipsum.__globals__['os'].environ }}",
    "{{ range.__class__.__base__.__subclasses__() }}",
    "{{ messages.append.__self__.__class__ }}",
    "{{ (messages|map(attribute='__class__')|list)[0].__mro__ }}",
    "{% include '/etc/passwd' %}",
    "{% import 'os' as os %}{{ os.environ }}",
    "{% extends '/etc/passwd' %}",
)


def refused(source: str, limits: TemplateLimits) -> str:
    with pytest.raises(BadModel) as caught:
        ChatTemplate(source + CHATML, limits=limits, where="m.gguf: the chat template").cut()
    told = str(caught.value)
    assert told.startswith("m.gguf: the chat template cannot be re")
    assert "\n" not in told
    return told


@pytest.mark.parametrize("name", LONG)
def test_a_template_that_does_not_end_is_ended(name: str) -> None:
    assert "computes for more than 0.3 s" in refused(LONG[name], LITTLE)


@pytest.mark.parametrize("name", LARGE)
def test_a_template_gets_so_much_memory_and_no_more(name: str) -> None:
    told = refused(LARGE[name], LITTLE)
    assert any(why in told for why in ("memory", "computes for more", "MemoryError", "OverflowError", "OSError")), told


@pytest.mark.parametrize("name", ["tilde", "lists", "blocks"])
def test_where_the_system_knows_no_limit_of_memory_the_process_watches_itself(name: str) -> None:
    told = refused(LARGE[name], UNLIMITED)
    assert "needs more than 64 MB of memory" in told or "computes for more" in told


@pytest.mark.parametrize("source", ESCAPES)
def test_nothing_is_reached_from_inside(source: str) -> None:
    told = refused("{{ raise_exception('OUT ' ~ (" + source[3:-3] + ")) }}" if source[:2] == "{{" else source, LITTLE)
    assert "OUT" not in told or told.endswith(("OUT", "OUT ''"))
    assert not any(word in told for word in ("<class", "root:", "PATH", "built-in", "module '"))


def test_even_outside_of_the_sandbox_nothing_could_be_opened_or_started() -> None:
    code = (
        f"import socket, os, sys, importlib.util as u\ns = u.spec_from_file_location('c', {confined.__file__!r})\n"
        "c = u.module_from_spec(s); s.loader.exec_module(c)\nc._confine(64 << 20, 1)\n"
        "for reach in (lambda: open('/etc/hostname'), socket.socket, lambda: open('/tmp/x', 'w'), os.pipe):\n"
        "    try: reach()\n    except OSError: continue\n    print('reached', reach)\nprint(dict(os.environ)); "
        "sys.stdout.flush(); os._exit(0)"
    )
    folder = str(Path(jinja2.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": folder}, capture_output=True, text=True, check=True
    )
    assert "reached" not in done.stdout


def test_a_template_sees_nothing_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET", "hunter2")
    seen: list[dict[str, str]] = []
    run = subprocess.run

    def watched(*arguments: object, **named: object) -> object:
        seen.append(named["env"])  # type: ignore[arg-type]
        return run(*arguments, **named)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "run", watched)
    ChatTemplate(CHATML + "{# of its own #}").cut()
    assert [env.keys() - {"LD_LIBRARY_PATH", "PYTHONHOME"} for env in seen] == [{"PYTHONPATH"}]


def test_all_that_is_asked_of_a_template_takes_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[object] = []
    run = subprocess.run

    def counted(*arguments: object, **named: object) -> object:
        started.append(arguments)
        return run(*arguments, **named)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "run", counted)
    template = ChatTemplate(CHATML + "{# another #}")
    for _ in range(3):
        template.cut()
        template.thinking()
        template.cut_tools()
    ChatTemplate(CHATML + "{# another #}").cut()
    assert len(started) == 1


def test_a_template_is_not_held_to_what_only_large_ones_need() -> None:
    assert ChatTemplate("{{ '-' * 3 }}{{ 'a %s' % 'b' }}{{ 2 ** 10 }}").render([]) == "---a b1024"


def test_where_no_process_can_be_started_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", os.devnull)
    with pytest.raises(BadModel, match="cannot be rendered: no process can be started for it: Permission denied"):
        ChatTemplate(CHATML + "{# a third #}").cut()
