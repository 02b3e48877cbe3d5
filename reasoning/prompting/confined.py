"""The program that renders a chat template: somebody else's program, so it runs in a process of its own.

`rendering` starts this file by its path, with jinja2 and nothing of Descant to be imported, without the environment,
and reads what it writes. It takes its limits upon itself before it looks at the template: memory, computing time, and
no file, socket or process can be opened any more. Inside of that, jinja2's sandbox.

In: a line of JSON with `source`, `now`, `asked` (the variables of each rendering) and `limits`. Out: for each one
`{"text": …}`, or `{"error": …}` where the template fails; `{"unread": …}` alone where it is none.
"""

from __future__ import annotations

import json
import math
import os
import resource
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from jinja2.exceptions import SecurityError, TemplateError
from jinja2.ext import Extension
from jinja2.sandbox import ImmutableSandboxedEnvironment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from jinja2 import Template, nodes
    from jinja2.parser import Parser

TOO_LARGE: Final = 3
"""Exit code where memory ends that no limit of the system has kept."""
_MAX_RENDERED_CHARACTERS: Final = 1 << 18
_MAX_ERROR_CHARACTERS: Final = 300
_WATCH_S: Final = 0.005


def main() -> None:
    """Answer one line."""
    asked = json.loads(sys.stdin.readline())
    environment = _Sandbox(datetime.fromisoformat(asked["now"]))
    # What is imported when it is first needed cannot be opened later: codecs, and what tells an error.
    deque(_answers(environment, "{{ 'é\\n' }}{{ absent.deeper }}", [{}]), maxlen=0)
    deque(_answers(environment, "{% for %}", []), maxlen=0)
    _confine(**asked["limits"])
    json.dump(list(_answers(environment, asked["source"], asked["asked"])), sys.stdout)
    sys.stdout.flush()
    # At once: to end a thread, the C library would have to open another library.
    os._exit(0)


def _answers(environment: _Sandbox, source: str, asked: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, str]]:
    try:
        template = environment.from_string(source)
    except Exception as error:  # noqa: BLE001 - a foreign program: whatever goes wrong is its fault
        yield {"unread": _one_line(error)}
        return
    for variables in asked:
        try:
            yield {"text": _bounded(template, variables)}
        except Exception as error:  # noqa: BLE001 - the same
            yield {"error": _one_line(error)}


def _bounded(template: Template, variables: Mapping[str, Any]) -> str:
    text = ""
    for part in template.generate(**variables):
        text += part
        if len(text) > _MAX_RENDERED_CHARACTERS:
            raise SecurityError(f"it writes more than {_MAX_RENDERED_CHARACTERS} characters")
    return text


def _confine(memory: int, cpu_s: float, *, by_system: bool = True) -> None:
    """Take limits that this process cannot lift again: bytes beside what it has, seconds beside what it took.

    by_system: False leaves memory to the watch alone, as on systems that know no limit of it.
    """
    statm = os.open("/proc/self/statm", os.O_RDONLY) if sys.platform == "linux" else None
    threading.Thread(target=_watch, args=(statm, _resident(statm) + memory), daemon=True).start()
    page = resource.getpagesize()
    size = int(os.pread(statm, 256, 0).split()[0]) * page if statm is not None else 0
    wanted = {
        resource.RLIMIT_CPU: math.ceil(time.process_time() + cpu_s),
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NOFILE: 3,
        **({resource.RLIMIT_AS: size + memory} if by_system else {}),
        **({resource.RLIMIT_NPROC: 0} if hasattr(resource, "RLIMIT_NPROC") else {}),
    }
    for limit, most in wanted.items():
        # macOS keeps no limit of address space: there the watch is what holds.
        with suppress(ValueError, OSError):
            resource.setrlimit(limit, (most, most))


def _watch(statm: int | None, most: int) -> None:
    while _resident(statm) <= most:
        time.sleep(_WATCH_S)
    os._exit(TOO_LARGE)


def _resident(statm: int | None) -> int:
    """Bytes in memory: now, or where the system does not tell, at most so far."""
    if statm is None:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(os.pread(statm, 256, 0).split()[1]) * resource.getpagesize()


class _Sandbox(ImmutableSandboxedEnvironment):
    """The environment that published templates expect."""

    def __init__(self, now: datetime) -> None:
        # Published templates are written for these two switches and rely on `break` and `continue`.
        extensions = ["jinja2.ext.loopcontrols", _Generation]
        super().__init__(trim_blocks=True, lstrip_blocks=True, extensions=extensions)
        self.globals["raise_exception"] = _refuse
        self.globals["strftime_now"] = now.strftime
        # Prompts are not HTML: the built-in filter would escape quotes and angle brackets.
        self.filters["tojson"] = _plain_json


class _Generation(Extension):
    """`{% generation %}` … `{% endgeneration %}`: marks what training counts as the model's own, and writes nothing."""

    tags = {"generation"}  # noqa: RUF012 - as the base class has it

    def parse(self, parser: Parser) -> nodes.Node | list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _refuse(message: str) -> None:
    raise TemplateError(message)


def _plain_json(value: object, indent: int | None = None, **_others: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _one_line(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "it needs more memory than a template gets"
    return " ".join(f"{type(error).__name__}: {str(error)[:_MAX_ERROR_CHARACTERS]}".split())


if __name__ == "__main__":
    main()
