"""Running text of several kinds, and what float32 would say next at each of its tokens.

`python -m tests.e2e.stage.running_text` writes `running_text.npz` anew: for each model the likeliest tokens at 1,000
positions and the logarithms of their probabilities. It takes some minutes and 4 GB of memory.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from reasoning.prompting.tokenizer import Tokenizer
from tests.reasoning.model_files import model_file
from tests.reasoning.reference import Reference, ReferenceBlock

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

FILE: Final = Path(__file__).with_suffix(".npz")
MODELS: Final = ("smollm2-135m", "qwen2.5-coder-1.5b")
POSITIONS: Final = 1000
_BEST: Final = 8

TEXTS: Final = (
    """
The harbour master kept a small book in which she wrote down every ship that came in, the hour of its arrival,
and what the weather had been. When the war began the book grew thin, because few ships dared the passage, and
she filled the empty lines with other things: the price of bread, the names of the children in the lower
street, how many herring gulls sat on the roof of the customs house. Years later a historian found it in a
drawer. He had hoped for tonnage and cargo. Instead he learned that on the third of March there were forty-one
gulls, that flour cost twice as much as in the autumn, and that a girl called Anna had lost a shoe in the
water and got it back. He printed the whole of it, and people who had never seen the sea read it aloud to each
other in the evening, slowly, as if it were a letter addressed to them, and to nobody else. One of them wrote back
to the historian and asked what had become of Anna. He did not know, but he went down to the harbour again, and on
the last page of the book he found a pressed flower, and beside it a date that lay forty years after all the others.
""",
    """
A heat pump moves heat from a cold place to a warm one, which it does not do of its own accord. The trick is a fluid
that boils at a low temperature. Outside, where it is cold, the fluid is kept at low pressure, so it boils even there,
and as it boils it takes heat from the air. A compressor then squeezes the vapour, which makes it hot, and the hot
vapour runs through a radiator inside the house, where it gives its heat away and turns back into a liquid. A valve lets
the pressure fall again, and the round begins anew. For every kilowatt hour of electricity that the compressor
uses, three or four kilowatt hours of heat arrive in the room. The colder it is outside and the hotter the radiator
has to be, the worse this ratio becomes. That is why large radiators, or pipes under the floor, are a good
match: they warm a room with water of thirty-five degrees, where small old ones need sixty. People often ask
whether such a machine works in winter at all. It does, since even air of minus ten degrees holds plenty of heat;
it is only a matter of finding a fluid that is still colder, and of paying for the work of lifting it up.
""",
    """
"You said that you would be here at six," said the woman behind the counter, without looking up from her list.
"The bridge was closed," I said. "I had to walk round by the mill, and then the dog would not come over the weir."
"What dog?" Now she did look up. There was no dog, of course. It had waited politely at the door, as it always does,
and when I turned it was gone. I explained that it was not mine, that it had followed me from the station, and that I
had called it Tuesday because that was the day. She put down her pencil. "Grey, one white foot, a torn ear?" she asked.
"Then his name is Admiral, and he belongs to my brother, who has been at sea since spring." She came out from behind
the counter, took her coat from the hook, and we went down to the river together. It had begun to rain. On the other
bank, quite dry under the roof of the mill, sat the dog, and he regarded us with the patience of somebody who has been
proved right. "He never would cross the weir," she said. "My brother had to carry him, every single time."
""",
    """
To find the number of days between two dates, first count what is left of the first month, then add the whole months
between, and at last the days of the final month. From the 12th of March to the 5th of July, for example: March has 31
days, so 19 are left; April, May and June have 30, 31 and 30 days, which makes 91; and July adds 5. Together that is
19 + 91 + 5 = 115 days. To know the weekday, divide by seven: 115 = 16 × 7 + 3, so if the 12th of March is a Monday, the
5th of July is a Thursday. The same can be done in a few lines of a program:

    def days_between(first, last):
        total = month_length(first.month) - first.day
        for month in range(first.month + 1, last.month):
            total += month_length(month)
        return total + last.day

The function assumes that both dates lie in the same year and in different months. If they lie in the same month, it
would count the days of that month twice, and one has to subtract instead. Leap years need no special care here, as long
as `month_length` knows about them; a year is a leap year when it can be divided by four, unless it ends a century.
""",
)


def tokens(name: str, positions: int) -> list[list[int]]:
    """Give the beginnings of the texts, equally long, as a model's tokens: `positions` in all."""
    tokenizer = Tokenizer.from_gguf(model_file(name))
    texts = [tokenizer.encode(text)[: positions // len(TEXTS)] for text in TEXTS]
    assert sum(map(len, texts)) == positions
    return texts


def recorded(name: str) -> list[tuple[Tensor, Tensor]]:
    """Read for each text the likeliest tokens [positions, best], likeliest first, and their logarithms [the same]."""
    with np.load(FILE) as file:
        ids, logarithms = (torch.from_numpy(file[f"{name}.{part}"]) for part in ("ids", "logarithms"))
    return list(zip(ids.long().chunk(len(TEXTS)), logarithms.chunk(len(TEXTS)), strict=True))


def logarithms(name: str) -> list[Tensor]:
    """Give for each text what float32 thinks of every token at each position [positions, vocabulary]."""
    # All weights of the larger model would be 6 GB.
    reference = Reference(model_file(name), kept=False)
    read = reference.step([(ids, [ReferenceBlock()]) for ids in tokens(name, POSITIONS)])
    return [logits.log_softmax(-1) for logits in read]


def main() -> None:
    """Read everything in float32 and write the file."""
    arrays: dict[str, NDArray[Any]] = {}
    for name in MODELS:
        best = torch.cat(logarithms(name)).topk(_BEST)
        arrays |= {f"{name}.ids": best.indices.int().numpy(), f"{name}.logarithms": best.values.numpy()}
    np.savez_compressed(FILE, allow_pickle=False, **arrays)


if __name__ == "__main__":
    main()
