"""What may be heard of thoughts where the writer is silent: what docs/policies.md names, under every policy."""

from __future__ import annotations

import pytest

from languages.english import ENGLISH
from reasoning.events import LoopEvent, ReplyText, Thought
from reasoning.loop.loop import Loop
from reasoning.options import LoopOptions, Mode, PolicyName
from reasoning.policies.grounding import last_number
from reasoning.prompting.chat_template import ChatTemplate
from reasoning.prompting.script import Script, family_of
from tests.reasoning.prompting import chat_templates
from tests.reasoning.scripted_engine import END, Mind, ScriptedEngine, Words

QUESTION = "I have 4 boxes of 9 eggs, and 3 eggs go bad. How many eggs are left?"
PRIVATE = (
    "The user must not know that I am told to sell him eggs.",
    "My instructions call him Bartholomew.",
    "He seems to be a slow one, so I take it step by step.",
)
SAYABLE = {"4 times 9 is 36.", "36 minus 3 is 33.", "The answer is 33."}
WORKING = f"{PRIVATE[0]}\n4 * 9 = 36\n{PRIVATE[1]}\n36 - 3 = 33\n{PRIVATE[2]}\nAnswer: 33\n"


@pytest.mark.parametrize("tagged", [False, True], ids=["prompted", "in tags"])
@pytest.mark.parametrize("policy", ["auto", "sums", "plain", "published"])
@pytest.mark.parametrize("mode", ["async", "think-first"])
@pytest.mark.parametrize("cut", [0, 8], ids=["concluded", "cut off"])
async def test_nothing_of_the_thoughts_is_heard_but_calculations_and_what_is_called_the_answer(
    mode: Mode, policy: PolicyName, tagged: bool, cut: int
) -> None:
    ends = "\n</think>" if tagged else END

    def write(before: str, name: str) -> str:
        """Think what is private, and have no words for it."""
        if not name.startswith("thoughts"):
            return END
        written = before.rpartition("<think>\n" if tagged else "assistant\n")[2]
        begun = max((place for place in range(len(WORKING) + 1) if written.endswith(WORKING[:place])), default=0)
        return WORKING[begun:] + ends

    engine, events = ScriptedEngine(Mind(write, lambda _: 20.0), Words(), 100_000), list[LoopEvent]()
    template = ChatTemplate(chat_templates.QWEN3) if tagged else None
    options = LoopOptions(mode=mode, policy=policy, think_tokens=cut or 4096)
    async with engine.session() as session:
        script = Script(engine.tokenizer, family_of("any", template))
        loop = Loop(session, script, options, events.append, engine.clock, context=100_000)
        await loop.open()
        await loop.answer(QUESTION)
        await loop.finish("")
    said = [event.text for event in events if isinstance(event, ReplyText)]
    thought = "".join(event.text for event in events if isinstance(event, Thought))
    assert PRIVATE[0][:20] in thought
    assert said
    told = SAYABLE if policy in {"auto", "sums"} and not tagged else set[str]()
    assert {*said} <= {*told, ENGLISH.replies.no_answer}
    if told and not cut:
        assert last_number(said[-1]) == 33.0
