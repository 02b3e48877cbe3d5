from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio.speaking.numerals import cardinal
from audio.speaking.speakable import speakable


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("He has **12** chickens.", "He has twelve chickens."),
        ("12 × 2 = 24", "twelve times two equals twenty four"),
        ("24 * 5 = 120 eggs", "twenty four times five equals one hundred twenty eggs"),
        ("3*4=12", "three times four equals twelve"),
        ("5 x 6 = 30", "five times six equals thirty"),
        ("12 + 30 = 42. So 42 - 2 = 40.", "twelve plus thirty equals forty two. So forty two minus two equals forty."),
        ("3 * (4 + 5) = 27", "three times (four plus five) equals twenty seven"),
        ("x^2 + 3x = 10", "x squared plus three x equals ten"),
        ("2^10", "two to the power of ten"),
        ("4 m²", "four meters squared"),
        ("12 / 4", "twelve divided by four"),
        ("1/2 of 3/8", "one half of three eighths"),
        ("-5 degrees", "minus five degrees"),
        ("3-5 days", "three to five days"),
        ("$1,200.50", "one thousand two hundred dollars and fifty cents"),
        ("$1", "one dollar"),
        ("$0.99", "ninety nine cents"),
        ("€2.5 million", "two point five million euros"),
        ("3.5%", "three point five percent"),
        ("1,000,000!", "one million!"),
        ("60 km/h and 25°C", "sixty kilometers per hour and twenty five degrees Celsius"),
        ("1 kg of rice", "one kilogram of rice"),
        ("5:30 p.m. Then go", "five thirty P M. Then go"),
        ("at 5 p.m. on Monday", "at five P M on Monday"),
        ("7:00", "seven o'clock"),
        ("9:05 am", "nine oh five A M"),
        ("2024-03-05", "March fifth, twenty twenty four"),
        ("May 21st, 2020", "May twenty first, twenty twenty"),
        ("in 1984", "in nineteen eighty four"),
        ("the 3rd of 10", "the third of ten"),
        ("007", "zero zero seven"),
        (r"\( \frac{1}{2} \times 4 = \boxed{2} \)", "one over two times four equals two"),
        (r"$$\sqrt{16} = 4$$", "the square root of sixteen equals four"),
        ("See https://www.example.com/a?b=1.", "See example dot com."),
        ("[the page](http://a.b/c) here", "the page here"),
        ("# Title\n\n- one\n- two", "Title. one. two"),
        ("```python\nprint(1)\n```\nDone.", "Done."),
        ("`make` it *so*, _please_ 😀👍🏽", "make it so, please"),
        ("# ", ""),
        ("😀", ""),
        ("   ", ""),
        ("A & B", "A and B"),
        ("well-known and/or e-mail", "well-known and/or e-mail"),
        ("Dr. Smith's café, isn't it?", "Dr. Smith's café, isn't it?"),
    ],
)
def test_says_it_as_a_reader_would(written: str, spoken: str) -> None:
    assert speakable(written) == spoken


WORDS = st.lists(st.text("abcdefghijklmnopqrstuvwxyzABCXYZéü", min_size=1, max_size=8), min_size=1, max_size=8)


@given(WORDS, st.sampled_from([" ", ", ", "; ", "-"]), st.sampled_from(["", ".", "!", "?"]))
def test_plain_words_come_out_as_they_went_in(words: list[str], between: str, end: str) -> None:
    text = between.join(words) + end
    assert speakable(text) == text


@given(st.text(max_size=60) | st.text("0123456789.,:/-+*=$%^()xm ", max_size=30))
def test_what_comes_out_can_be_spoken(text: str) -> None:
    spoken = speakable(text)
    assert not re.search(r"[0-9*_`~^\\{}\[\]#|<>$€£=\n]", spoken)
    assert spoken == "" or any(sign.isalnum() for sign in spoken)


@pytest.mark.parametrize(
    "sign", ["-", "*", "_", "=", "|", "-|", "|:-", "1", "1,", "a ", "\\", "{", "`", "$", " \n", "[", "<a"]
)
def test_long_rows_of_signs_take_no_time(sign: str) -> None:
    began = time.process_time()
    speakable(sign * 1000 + "x")
    assert time.process_time() - began < 2


@given(st.integers(0, 10**9))
def test_thousands_separators_make_no_difference(number: int) -> None:
    assert cardinal(f"{number:,}") == cardinal(str(number))
