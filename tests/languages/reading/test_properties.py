"""What holds of every written form in every language."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from languages.known import language_of
from tests.languages.reading.forms import table

CODES = ("de", "en", "es")
POINTS = {"de": " Komma ", "en": " point ", "es": " coma "}
CENTS = {
    "de": re.compile(r"(?: und )?\b(?P<part>\S+) (?:Cent|Penny|Pence)$"),
    "en": re.compile(r"(?: and )?\b(?P<part>[a-z]+(?: [a-z]+)?) (?:cents?|penny|pence)$"),
    "es": re.compile(r"(?: con )?\b(?P<part>\S+(?: y \S+)?) (?:céntimos?|centavos?|peniques?)$"),
}
ALL = st.sampled_from(CODES)
FRAGMENTS = st.sampled_from(
    ["$", "€", "₹", "£", "US$", "2.5", "3,5", "1990", "s", "M", "k", "x", "/", "-", "–", "%", " ", "1,200", "1.200",
     "^", "v", "No. ", "Nr. ", "m", "th", "º", "°C", "abc", ".", ":", "+", "=", "½", "'", "747", "(", ")", "h", "12",
     "5", "de ", "mayo", "Mai", "May ", "XIV", "@", "#", "e", "²"]
)  # fmt: skip
NUMBERS = ("7", "12", "747", "2.5", "3,5", "1.200", "1,200", "10^-3", "$5", "5€", "50%", "1/2", "½", "3x4", "#5")
WORDS = st.lists(st.text("abcdefghijklmnopqrstuvwyzäöüßáéíóúñ", min_size=2, max_size=8), min_size=1, max_size=8)


@given(ALL, st.lists(FRAGMENTS, max_size=10))
def test_no_figure_is_left(code: str, pieces: list[str]) -> None:
    assert not re.search(r"[0-9]", language_of(code).read_aloud("".join(pieces)))


@pytest.mark.parametrize("code", CODES)
def test_no_number_is_glued_to_letters_around_it(code: str) -> None:
    for number in NUMBERS:
        for left, right in (("qwz", ""), ("", "qwz"), ("qwz", "qwz"), ("Q", ""), ("", "Q"), ("q", "q")):
            said = re.findall(r"[^\W\d_]+", language_of(code).read_aloud(f"{left}{number}{right}"))
            assert not left or said[0] == left, (number, said)
            assert not right or said[-1] == right, (number, said)


@given(ALL, WORDS, st.sampled_from([" ", ", ", "; ", "-"]), st.sampled_from(["", ".", "!", "?"]))
def test_plain_words_come_out_as_they_went_in(code: str, words: list[str], between: str, end: str) -> None:
    text = between.join(words) + end
    assert language_of(code).read_aloud(text) == text


@given(
    ALL, st.integers(0, 10**9 - 1), st.integers(0, 99), st.sampled_from("$€£"),
    st.sampled_from(["{sign}{number}", "{number}{sign}", "{number} {sign}"]),
)  # fmt: skip
def test_every_amount_of_money_comes_out_as_it_went_in(
    code: str, whole: int, cents: int, sign: str, where: str
) -> None:
    number = f"{whole:,}".replace(",", language_of(code).numbers.group)
    written = where.format(sign=sign, number=f"{number}{language_of(code).numbers.point}{cents:02}")
    said = language_of(code).read_aloud(written)
    small = CENTS[code].search(said)
    large = said[: small.start()] if small else said
    assert language_of(code).numbers.read(large.rpartition(" ")[0] or "0") in ({whole} if large else {0})
    assert language_of(code).numbers.read(small["part"] if small else "0") in ({cents} if small else {0})
    assert bool(large) == bool(whole or not cents)


@given(ALL, st.integers(0, 10**12 - 1), st.booleans())
def test_every_whole_number_comes_out_as_it_went_in(code: str, number: int, grouped: bool) -> None:
    written = f"{number:,}".replace(",", language_of(code).numbers.group) if grouped and number > 9999 else str(number)
    assert language_of(code).numbers.read(language_of(code).read_aloud(written)) == number


@given(ALL, st.integers(0, 10**6), st.text("0123456789", min_size=4, max_size=8))
def test_every_decimal_comes_out_as_it_went_in(code: str, whole: int, digits: str) -> None:
    said = language_of(code).read_aloud(f"{whole}{language_of(code).numbers.point}{digits} kg").rpartition(" ")[0]
    assert language_of(code).numbers.read(said) == float(f"{whole}.{digits}")


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize(
    "sign",
    ["-", "1", "1,", "1.", "1 ", "1-", "1/", "1:", "a ", "a1", "a.", "a@", "$", "XI ", "'", "1'", "+1", " <", "²", "½"],
)
def test_long_rows_of_signs_take_no_time(code: str, sign: str) -> None:
    began = time.process_time()
    language_of(code).read_aloud(sign * 1000 + "x")
    assert time.process_time() - began < 2


@pytest.mark.parametrize("code", CODES)
def test_what_was_said_is_read_again_as_it_is(code: str) -> None:
    said = [language_of(code).read_aloud(form.written) for form in table(language_of(code).name.lower())]
    assert [language_of(code).read_aloud(words) for words in said] == said
