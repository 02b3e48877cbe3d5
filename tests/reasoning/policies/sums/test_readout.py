"""Reading out finished steps: what is a plain calculation or sentence is spoken as it stands, all else is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasoning.policies.grounding import numbers
from reasoning.policies.sums.readout import readout


@pytest.mark.parametrize(
    ("step", "spoken"),
    [
        ("86 + 66 = 152", "86 plus 66 is 152."),
        ("2. 95 - 76 = 19.", "95 minus 76 is 19."),
        ("1. 86 x 6 = 516", "86 times 6 is 516."),
        (
            "25 hectares × 46 mangos per hectare = 1150 mangos",
            "25 hectares times 46 mangos per hectare is 1150 mangos.",
        ),
        (
            "3. Total legs from insects: 8 insects * 6 legs/insect = 48 legs.",
            "8 insects times 6 legs per insect is 48 legs.",
        ),
        ("19 - 98 = -79", "19 minus 98 is minus 79."),
        ("So, 12 / 4 = 3", "12 divided by 4 is 3."),
        ("6:08 - 4:59 = 1 hour and 9 minutes", "6:08 minus 4:59 is 1 hour and 9 minutes."),
        ("2 * 3 + 4 = 6 + 4 = 10", "2 times 3 plus 4 is 10."),
        ("Answer: 53 degrees", "The answer is 53 degrees."),
        ("Answer: 1/2", "The answer is 1 divided by 2."),
        ("Answer: We are home at 5:40 pm.", "We are home at 5:40 pm."),
        ("Answer: Friday", "The answer is Friday."),
        ("Answer: You leave with Aunt Mary", "You leave with Aunt Mary."),
        ("Answer: Thursday, December 8, 2022", "The answer is Thursday, December 8, 2022."),
        ("Answer: 36 dollars for all of them", "The answer is 36 dollars for all of them."),
        ("**Total**: 3 + 4 = 7", "3 plus 4 is 7."),
    ],
)
def test_a_plain_step_is_read_out(step: str, spoken: str) -> None:
    assert readout(step) == spoken


@pytest.mark.parametrize(
    "step",
    [
        "32 years old",
        "Each insect has 6 legs.",
        "Therefore, the call lasted 4 hours and 11 minutes.",
        "Divide both sides by -9:",
        "-9h = -18 - 27",
        "12 = 2 * 2 * 3",
        "LCM = 2 * 2 * 2 * 3",
        "(3 - 2) * 180 = 180",
        r"\[ 47 = 20 \times 2 + 7 \]",
        "What is 3 plus 4?",
        "Answer: The user must not know it",
        "The sum of the interior angles of a polygon with n sides is given by the formula of n minus two times 180.",
        "",
        "...",
        "=",
        "= 4",
        "x =",
    ],
)
def test_what_is_no_plain_step_is_left_to_the_writer(step: str) -> None:
    assert readout(step) is None


@given(st.text(alphabet="0123456789+-*/= .:xabcdefgh()\n", max_size=60))
def test_reading_out_never_brings_a_number_that_the_step_does_not_hold(step: str) -> None:
    spoken = readout(step)
    assert spoken is None or numbers(spoken) <= numbers(step)
