"""What holds of every written form in every language."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from languages.reading import english, german, spanish
from tests.languages.reading.forms import HUNDREDTHS, WHOLE, table, value

if TYPE_CHECKING:
    from collections.abc import Callable

READERS = {"english": english.read_aloud, "german": german.read_aloud, "spanish": spanish.read_aloud}
DECIMAL = {"english": (".", ","), "german": (",", "."), "spanish": (",", ".")}
LANGUAGES = st.sampled_from(sorted(READERS))
FRAGMENTS = st.sampled_from(
    ["$", "€", "₹", "£", "US$", "2.5", "3,5", "1990", "s", "M", "k", "x", "/", "-", "–", "%", " ", "1,200", "1.200", "^",
     "v", "No. ", "Nr. ", "m", "th", "º", "°C", "abc", ".", ":", "+", "=", "½", "'", "747", "(", ")", "h", "12", "5", "de ",
     "mayo", "Mai", "May ", "XIV", "@", "#", "e", "²"]
)  # fmt: skip
WORDS = st.lists(st.text("abcdefghijklmnopqrstuvwyzäöüßáéíóúñ", min_size=2, max_size=8), min_size=1, max_size=8)


def number_words(reader: Callable[[str], str]) -> str:
    """Give a pattern of the words that small numbers are said with."""
    return "|".join(sorted({word for number in range(100) for word in reader(f"{number}").split()}, key=len, reverse=True))


@given(LANGUAGES, st.lists(FRAGMENTS, max_size=10))
def test_no_figure_is_left(language: str, pieces: list[str]) -> None:
    assert not re.search(r"[0-9]", READERS[language]("".join(pieces)))


@pytest.mark.parametrize("language", sorted(READERS))
def test_no_number_is_glued_to_letters_around_it(language: str) -> None:
    reader = READERS[language]
    for number in ("7", "12", "747", "2.5", "3,5", "1.200", "1,200", "10^-3", "$5", "5€", "50%", "1/2", "½", "3x4", "#5"):
        for left, right in (("qwz", ""), ("", "qwz"), ("qwz", "qwz"), ("Q", ""), ("", "Q"), ("q", "q")):
            said = reader(f"{left}{number}{right}").split()
            assert not left or said[0].rstrip("-") == left, (number, said)
            assert not right or said[-1] == right, (number, said)


@given(LANGUAGES, WORDS, st.sampled_from([" ", ", ", "; ", "-"]), st.sampled_from(["", ".", "!", "?"]))
def test_plain_words_come_out_as_they_went_in(language: str, words: list[str], between: str, end: str) -> None:
    text = between.join(words) + end
    assert READERS[language](text) == text


@given(
    LANGUAGES, st.integers(0, 10**9 - 1), st.integers(0, 99), st.sampled_from("$€£"),
    st.sampled_from(["{sign}{number}", "{number}{sign}", "{number} {sign}"]), st.booleans(),
)  # fmt: skip
def test_every_amount_of_money_comes_out_as_it_went_in(
    language: str, whole: int, cents: int, sign: str, where: str, grouped: bool
) -> None:
    point, group = DECIMAL[language]
    number = f"{whole:,}".replace(",", group) if grouped else str(whole)
    said = READERS[language](where.format(sign=sign, number=f"{number}{point}{cents:02}"))
    large, _, small = said.rpartition(HUNDREDTHS[language].join_)
    if not large and HUNDREDTHS[language].names.search(said):
        large, small = "", said
    elif not large or not HUNDREDTHS[language].names.search(small):
        large, small = said, ""
    assert value(language, large.rpartition(" ")[0]) == whole
    assert value(language, small.rpartition(" ")[0]) == cents


@given(LANGUAGES, st.integers(0, 10**12 - 1), st.booleans())
def test_every_whole_number_comes_out_as_it_went_in(language: str, number: int, grouped: bool) -> None:
    written = f"{number:,}".replace(",", DECIMAL[language][1]) if grouped and number > 9999 else str(number)
    assert value(language, READERS[language](written)) == number


@given(LANGUAGES, st.integers(0, 10**6), st.integers(0, 999))
def test_every_decimal_comes_out_as_it_went_in(language: str, whole: int, part: int) -> None:
    said = READERS[language](f"{whole}{DECIMAL[language][0]}{part:03}9 kg")
    large, _, small = said.rpartition(" ")[0].partition({"english": " point ", "german": " Komma "}.get(language, " coma "))
    assert value(language, large) == whole
    assert "".join(str(value(language, digit)) for digit in small.split()) == f"{part:03}9"


@pytest.mark.parametrize("language", sorted(READERS))
@pytest.mark.parametrize(
    "sign", ["-", "1", "1,", "1.", "1 ", "1-", "1/", "1:", "a ", "a1", "a.", "a@", "$", "XI ", "'", "1'", "+1", " <", "²", "½"]
)
def test_long_rows_of_signs_take_no_time(language: str, sign: str) -> None:
    began = time.process_time()
    READERS[language](sign * 1000 + "x")
    assert time.process_time() - began < 2


@pytest.mark.parametrize("language", sorted(READERS))
def test_what_was_said_is_read_again_as_it_is(language: str) -> None:
    reader = READERS[language]
    again = [(said, reader(said)) for said in (reader(form.written) for form in table(language))]
    assert [pair for pair in again if pair[0] != pair[1] and "etc" not in pair[0]] == []


def test_whole_numbers_are_those_of_the_reference() -> None:
    assert {language: value(language, words) for language, words, _ in WHOLE} == {
        language: number for language, _, number in WHOLE
    }
