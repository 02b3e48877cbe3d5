from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from num2words import num2words

from reasoning.policies.grounding import last_number, names, numbers, ungrounded


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("twenty-four", [24]),
        ("Twenty four.", [24]),
        ("$24.00", [24]),
        ("24%", [24]),
        ("24.", [24]),
        ("2.5 metres", [2.5]),
        ("one hundred and five", [105]),
        ("a hundred", [100]),
        ("two thousand and one", [2001]),
        ("three million", [3_000_000]),
        ("1,234,567.5", [1_234_567.5]),
        ("1,2,3", [1, 2, 3]),
        ("6*4=24", [6, 4, 24]),
        ("two and three", [2, 3]),
        ("five, six", [5, 6]),
        ("five six", [5, 6]),
        ("the third and the fourth", [3, 4]),
        ("the third and fourth", [3, 4]),
        ("the twenty-first", [21]),
        ("the 21st", [21]),
        ("two dozen", [2, 12]),
        ("ten o'clock", [10]),
        ("someone often weighs", []),
        ("and", []),
        ("", []),
    ],
)
def test_numbers_by_value(text: str, values: list[float]) -> None:
    assert numbers(text) == set(values)
    assert last_number(text) == (values[-1] if values else None)


@given(st.integers(2, 999_999))
def test_a_number_is_the_same_in_every_spelling(value: int) -> None:
    spelled = num2words(value)
    for text in (str(value), f"{value:,}", f"${value}.00", spelled, spelled.replace("-", " ").capitalize()):
        assert numbers(f"There are {text} eggs.") == {float(value)}, text
        assert ungrounded(f"There are {text} eggs.", f"It is {value}.") == []
        assert ungrounded(f"There are {text} eggs.", f"It is {value + 1}.") == [f"{value:g}"]


@given(st.integers(2, 99))
def test_an_ordinal_is_its_number(value: int) -> None:
    assert value in numbers(f"on the {num2words(value, to='ordinal')} day")
    assert numbers(f"on the {num2words(value, to='ordinal_num')} day") == {float(value)}


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=6), st.lists(st.booleans(), min_size=6, max_size=6))
def test_the_last_number_is_the_last(values: list[int], spelled: list[bool]) -> None:
    told = [num2words(value) if words else str(value) for value, words in zip(values, spelled, strict=False)]
    text = " eggs; then ".join(told)
    assert numbers(text) == set(map(float, values))
    assert last_number(text) == values[-1]


def test_the_last_number_stands_in_the_last_sentence_that_has_one() -> None:
    assert last_number("6 * 4 = 24.\nSo the result is 24, not 6.\nThat is all.") == 6
    assert last_number("There are six rows and twenty-four eggs.") == 24
    assert last_number("nothing") is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The box is full.", set()),
        ("It is done. The box is full! Really? Yes: Now.", set()),
        ("I asked Priya.", {"priya"}),
        ("It is Priya's box.", {"priya"}),
        ("It is Priya’s box.", {"priya"}),
        ("We meet on friday in june.", {"friday", "june"}),
        ("Friday is fine.", {"friday"}),
        ("I'm sure I'll say OK at 5 PM.", set()),
        ("First line\nSecond line", set()),
        ('He said "Yes" to it.', set()),
    ],
)
def test_names(text: str, found: set[str]) -> None:
    assert names(text) == found


def test_what_a_source_contains_in_any_form_is_grounded() -> None:
    assert ungrounded("It is Priya's box of 24.", "priya has it", "so the total is twenty-four") == []
    assert ungrounded("I gave it to Priya.", "priya's box") == []
    assert ungrounded("On Friday.", "on friday") == []
    assert ungrounded("It is one of them.", "") == []
    assert ungrounded("It is 7, said Priya on Monday.", "it is 8") == ["7", "monday", "priya"]


@given(st.text(max_size=200), st.text(max_size=50))
def test_every_text_is_grounded_in_itself(text: str, other: str) -> None:
    assert ungrounded(text, other, text) == []
    assert numbers(text) >= set(filter(None, [last_number(text)]))
