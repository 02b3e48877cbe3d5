"""States of conversations in which a yes/no question is weighed, with what float32 makes of them.

`python -m tests.e2e.probe_states` writes `probe_states.json` anew: generated problems, thoughts about them cut at ten
places, and the log-odds that the decoder gives in float32. It takes some minutes and 7 GB of memory.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import torch

from reasoning.attention import Run
from reasoning.decoder import Decoder
from reasoning.sampling import weigh_choices
from reasoning.tokenizer import Tokenizer
from tests.reasoning.model_files import model_file

if TYPE_CHECKING:
    from collections.abc import Sequence

FILE: Final = Path(__file__).with_suffix(".json")
MODEL: Final = "qwen2.5-coder-1.5b"
OPEN: Final = "<|im_start|>system\nYou are a helpful voice assistant.<|im_end|>\n<|im_start|>user\n"
ANSWER: Final = "<|im_end|>\n<|im_start|>assistant\n"
ASKED: Final = (
    "<|im_end|>\n<|im_start|>user\nIs the final result already stated above? Answer yes or no." + ANSWER,
    "<|im_end|>\n<|im_start|>user\nHas the working above found anything new? Answer yes or no." + ANSWER,
)
YES_NO: Final = (("Yes", "yes", " Yes", " yes"), ("No", "no", " No", " no"))
_CUTS: Final = 10


@dataclass(frozen=True, slots=True)
class Problem:
    """A question, thoughts about it, and the log-odds of yes after each cut of the thoughts."""

    question: str
    thoughts: str
    asked: int
    """Which question of `ASKED` is weighed."""
    log_odds: list[float]

    def cuts(self, tokens: Sequence[int]) -> list[int]:
        """Give the lengths at which the thoughts are cut: from nothing to all of them."""
        return [len(tokens) * cut // (_CUTS - 1) for cut in range(_CUTS)]


def problems() -> list[Problem]:
    """Generate twenty problems with their thoughts; nothing is weighed yet."""
    found = []
    for i in range(10):
        price, count, paid = 3 + 2 * i, 2 + i % 5, 100
        cost = price * count
        question = f"One ticket costs {price} dollars. I buy {count} and pay with {paid}. How much do I get back?"
        thoughts = (
            f"1. One ticket costs {price} dollars.\n2. {count} tickets cost {count} times {price}, which is {cost} "
            f"dollars.\n3. The change is {paid} minus {cost}, which is {paid - cost} dollars.\n"
            f"So the answer is {paid - cost} dollars."
        )
        found.append(Problem(question, thoughts, i % 2, []))
        boxes, eggs, broken = 4 + i, 6 + i % 4, 3 + i
        whole = boxes * eggs
        question = f"There are {boxes} boxes with {eggs} eggs each, and {broken} eggs break. How many are whole?"
        thoughts = (
            f"1. We have to find all eggs first.\n2. {boxes} boxes of {eggs} eggs make {whole} eggs.\n3. {broken} of "
            f"them break, so {whole} minus {broken} is {whole - broken}.\nThe result is {whole - broken} whole eggs."
        )
        found.append(Problem(question, thoughts, (i + 1) % 2, []))
    return found


def recorded() -> list[Problem]:
    """Read the problems with what float32 made of them."""
    return [Problem(**problem) for problem in json.loads(FILE.read_text("utf-8"))]


def head(tokenizer: Tokenizer, problem: Problem) -> list[int]:
    """Give the tokens before the thoughts."""
    return [
        *tokenizer.encode_template(OPEN), *tokenizer.encode(problem.question), *tokenizer.encode_template(ANSWER)
    ]  # fmt: skip


def choices(tokenizer: Tokenizer) -> tuple[frozenset[int], frozenset[int]]:
    """Give the single tokens that mean yes, and those that mean no."""
    yes, no = ([tokens[0] for tokens in map(tokenizer.encode, words) if len(tokens) == 1] for words in YES_NO)
    return frozenset(yes), frozenset(no)


def weigh(decoder: Decoder, tokenizer: Tokenizer, problems: Sequence[Problem]) -> list[list[float]]:
    """Give the log-odds of yes after each cut of each problem's thoughts; all problems share each step."""
    views = [[decoder.cache(), decoder.cache()] for _ in problems]
    heads = zip(problems, views, strict=True)
    decoder.forward([Run(head(tokenizer, problem), view[:1], logits=False) for problem, view in heads])
    thoughts = [tokenizer.encode(problem.thoughts) for problem in problems]
    cuts = [problem.cuts(tokens) for problem, tokens in zip(problems, thoughts, strict=True)]
    found: list[list[float]] = [[] for _ in problems]
    for ends in zip(*cuts, strict=True):
        new = [tokens[view[1].length : end] for tokens, view, end in zip(thoughts, views, ends, strict=True)]
        if runs := [Run(tokens, view, logits=False) for tokens, view in zip(new, views, strict=True) if tokens]:
            decoder.forward(runs)
        asked = [tokenizer.encode_template(ASKED[problem.asked]) for problem in problems]
        questions = zip(asked, views, strict=True)
        logits = decoder.forward([Run(tokens, [*view, decoder.cache()], logits=True) for tokens, view in questions])
        for row, odds in zip(logits, found, strict=True):
            odds.append(weigh_choices(row, choices(tokenizer))[0])
    return found


def main() -> None:
    """Weigh everything in float32 and write the file."""
    file = model_file(MODEL)
    decoder, tokenizer = Decoder(file, torch.float32), Tokenizer.from_gguf(file)
    made = problems()
    weighed = zip(made, weigh(decoder, tokenizer, made), strict=True)
    done = [asdict(replace(problem, log_odds=odds)) for problem, odds in weighed]
    FILE.write_text(json.dumps(done, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
