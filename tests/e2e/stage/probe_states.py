"""States of conversations in which the loop asks whether there is anything to compute, and what float32 says to it.

`python -m tests.e2e.stage.probe_states` writes `probe_states.json` anew: forty made-up conversations of five turns,
questions with numbers and small talk in turn, laid out by the loop's own context, and the log-odds of yes in float32
at the end of each turn's words. It takes some minutes and 7 GB of memory.
"""

from __future__ import annotations

import asyncio
import json
from itertools import islice, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import torch

from reasoning.engine.attention import Run
from reasoning.engine.decoder import Decoder
from reasoning.engine.sampling import scored_choices
from reasoning.loop.context import LoopContext
from reasoning.options import LoopOptions
from reasoning.policies.sums.sums import Sums
from reasoning.prompting.script import Script, family_of
from reasoning.prompting.tokenizer import Tokenizer
from tests.reasoning.model_files import model_file
from tests.reasoning.readings import read_alone
from tests.reasoning.scripted_engine import Mind, ScriptedEngine

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reasoning.formats.gguf import GgufFile

FILE: Final = Path(__file__).with_suffix(".json")
MODEL: Final = "qwen2.5-coder-1.5b"
CONVERSATIONS: Final = 40
TURNS: Final = 5
_TOGETHER: Final = 20
"""Conversations that share a step: the rows of all would take gigabytes."""

Turn = tuple[str, str]
"""What the user says, and what he then hears."""

_TALK: Final[Sequence[Turn]] = (
    ("Good morning, how are you today?", "Good morning! I am well, thank you."),
    ("Thanks, that was very kind of you.", "You are welcome."),
    ("Can you tell me a joke about cats?", "Why did the cat sit on the computer? To keep an eye on the mouse."),
    ("What is the capital of Portugal?", "The capital of Portugal is Lisbon."),
    ("I had a long day and I am tired.", "I am sorry to hear that. Do rest a little."),
    ("Which colour goes well with green?", "White and brown go well with green."),
    ("Please speak a little slower.", "Of course, I will speak slower."),
    ("Who wrote the play about Romeo and Juliet?", "William Shakespeare wrote it."),
    ("My dog likes to swim in the lake.", "That sounds like fun for both of you."),
    ("What do people eat for breakfast in Japan?", "Often rice, soup and fish."),
    ("Do you like music?", "I like to talk about it."),
    ("Can you hear me well?", "Yes, I hear you well."),
    ("Tell me something about the moon.", "The moon always shows us the same side."),
    ("I will call my sister later.", "She will be glad to hear from you."),
    ("Is a tomato a fruit or a vegetable?", "It is a fruit that is eaten as a vegetable."),
    ("Let us talk about something else.", "Gladly. What would you like to talk about?"),
    ("How do I say thank you in French?", "You say merci."),
    ("It is raining again.", "Then a warm tea may help."),
    ("What can you do for me?", "I can answer questions and think about problems."),
    ("See you tomorrow.", "See you tomorrow!"),
)


def problems() -> Iterator[Turn]:
    """Give questions with numbers, one after the other, without an end."""
    number = 0
    while True:
        a, b = 3 + number % 17, 2 + number % 7
        yield f"One ticket costs {a} dollars. How much are {b} tickets?", f"{b} tickets are {a * b} dollars."
        yield f"I have {a + 20} apples and give away {b}. How many are left?", f"You have {a + 20 - b} left."
        yield f"What is {a} times {b + 10}?", f"It is {a * (b + 10)}."
        yield (
            f"A train leaves at {b} o'clock and takes {a} hours and 20 minutes. When does it arrive?",
            f"It arrives {a} hours and 20 minutes after {b} o'clock.",
        )
        yield (
            f"There are {a} boxes with {b} eggs each, and {b} eggs break. How many are whole?",
            f"{(a - 1) * b} eggs are whole.",
        )
        yield f"We are {b} people and the bill is {a * b} euros. How much does each of us pay?", f"Each pays {a} euros."
        yield f"Today is the {a}th. Which day of the month is it in {b} days?", f"It is the {a + b}th."
        number += 1


def conversations() -> list[list[Turn]]:
    """Give the conversations: questions with numbers and small talk in turn, the one first or the other."""
    numbers = problems()
    return [
        [
            next(numbers) if (i + turn) % 2 else _TALK[(i // 2 + 7 * turn) % len(_TALK)]
            for turn in range(TURNS)
        ]
        for i in range(CONVERSATIONS)
    ]  # fmt: skip


def recorded() -> list[list[float]]:
    """Read what float32 says at each turn of each conversation."""
    found: list[list[float]] = json.loads(FILE.read_text("utf-8"))
    return found


def script_of(file: GgufFile) -> Script:
    """Give the wording for a model, as the program chooses it."""
    return Script(Tokenizer.from_gguf(file), family_of(file.value("general.name", str, "")))


async def states(script: Script, turns: Sequence[Turn]) -> list[list[int]]:
    """Give the tokens that the loop lets the model read at the end of each turn's words, before it asks."""
    found = []
    async with ScriptedEngine(Mind(lambda *_: "")).session() as session:
        context = LoopContext(session, script, LoopOptions(), limit=4096, tools=(), policy=Sums())
        await context.open()
        for said, heard in turns:
            await context.hear(said)
            await context.settle()
            found.append([token for block in (*context.past, context.turn.input) for token in block.tokens])
            await context.next_turn(heard, interrupted=False)
    return found


def score_choices(decoder: Decoder, script: Script, views: Sequence[Sequence[Sequence[int]]]) -> list[list[float]]:
    """Give the log-odds of yes after each state of some conversations, whose states each begin with the one before."""
    found: list[list[float]] = []
    # Instructions that all conversations begin with are read once.
    beginnings, opening = [read[0] for read in views], decoder.cache()
    shared = [alike[0] for alike in takewhile(lambda alike: len(set(alike)) == 1, zip(*beginnings, strict=False))][:-1]
    decoder.forward([Run(shared, [opening], logits=False)])
    rest = iter(views)
    while together := list(islice(rest, _TOGETHER)):
        caches, lengths = [decoder.cache() for _ in together], [len(shared)] * len(together)
        odds: list[list[float]] = [[] for _ in together]
        for read in zip(*together, strict=True):
            new = zip(read, caches, lengths, strict=True)
            decoder.forward([Run(tokens[length:], [opening, cache], logits=False) for tokens, cache, length in new])
            lengths = [len(tokens) for tokens in read]
            asked = [Run(script.need, [opening, cache, decoder.cache()], logits=True) for cache in caches]
            logits = decoder.forward(asked)
            for row, mine in zip(logits, odds, strict=True):
                mine.append(read_alone(scored_choices(row, script.yes_no)))
        found += odds
    return found


def main() -> None:
    """Weigh everything in float32 and write the file."""
    file = model_file(MODEL)
    decoder, script = Decoder(file, torch.float32), script_of(file)
    views = [asyncio.run(states(script, turns)) for turns in conversations()]
    rounded = [[round(odds, 4) for odds in turns] for turns in score_choices(decoder, script, views)]
    FILE.write_text(json.dumps(rounded, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
