"""Spoken numbers as their values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from num2words import num2words

from languages.known import language_of


@pytest.mark.parametrize(
    ("code", "words", "value"),
    [
        ("en", "one hundred and five", 105),
        ("en", "Twenty-four", 24),
        ("en", "two point five", 2.5),
        ("en", "zero point zero seven", 0.07),
        ("en", "three point fourteen", 3.14),
        ("en", "minus three", -3),
        ("en", "minus one million two thousand", -1_002_000),
        ("en", "two thousand million", 2e9),
        ("en", "24", 24),
        ("en", "trente-six", None),
        ("en", "five six", None),
        ("en", "two dogs", None),
        ("en", "two point", None),
        ("en", "two point five six hundred", None),
        ("en", "minus", None),
        ("en", "", None),
        ("de", "einundzwanzig", 21),
        ("de", "zweihundertfünf", 205),
        ("de", "eine Million zweihunderttausend", 1_200_000),
        ("de", "zwei Komma fünf", 2.5),
        ("de", "minus drei", -3),
        ("de", "ein", 1),
        ("de", "ein Hund", None),
        ("de", "Hundeleine", None),
        ("es", "treinta y seis", 36),
        ("es", "dos mil millones", 2e9),
        ("es", "veintiún mil", 21_000),
        ("es", "dos coma cinco", 2.5),
        ("es", "menos tres", -3),
        ("es", "una", 1),
        ("es", "tres perros", None),
    ],
)
def test_words_that_are_one_number_have_its_value(code: str, words: str, value: float | None) -> None:
    assert language_of(code).numbers.read(words) == value


@given(st.sampled_from(["en", "de"]), st.integers(-(10**9), 10**9))
def test_whole_numbers_are_read_as_the_reference_says_them(code: str, number: int) -> None:
    assert language_of(code).numbers.read(num2words(number, lang=code)) == number


@given(st.integers(0, 20_999))
def test_spanish_numbers_are_read_as_the_reference_says_them(number: int) -> None:
    # Above, the reference says "veintiuno mil".
    assert language_of("es").numbers.read(num2words(number, lang="es")) == number


@given(st.sampled_from(["en", "de", "es"]), st.integers(0, 9999), st.text("0123456789", min_size=1, max_size=6))
def test_decimals_are_read_one_by_one(code: str, whole: int, digits: str) -> None:
    point = {"en": "point", "de": "Komma", "es": "coma"}[code]
    said = " ".join(num2words(int(digit), lang=code) for digit in digits)
    assert language_of(code).numbers.read(f"{num2words(whole, lang=code)} {point} {said}") == float(f"{whole}.{digits}")


@pytest.mark.parametrize(
    ("code", "text", "together"),
    [
        ("en", "Check my order number 1, 2, 3, 4, 5?", "Check my order number 12345?"),
        ("en", "The code is 4-0-0-7.", "The code is 4007."),
        ("en", "Which comes next: 1, 2, 4, 8?", "Which comes next: 1, 2, 4, 8?"),
        ("en", "Bring boxes number 1, 2 and 3.", "Bring boxes number 1, 2 and 3."),
        ("en", "Account 1, 2, 3, 4, 50", "Account 1, 2, 3, 4, 50"),
        ("de", "Meine Bestellnummer ist 1, 2, 3, 4.", "Meine Bestellnummer ist 1234."),
        ("es", "El número 9 8 7 6, por favor.", "El número 9876, por favor."),
    ],
)
def test_figures_told_one_by_one_are_one_number_where_something_is_known_by_it(
    code: str, text: str, together: str
) -> None:
    assert language_of(code).requests.together(text) == together
