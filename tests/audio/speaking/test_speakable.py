from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from num2words import num2words

from audio.speaking.speakable import speakable
from languages.known import language_of
from languages.reading.english_numbers import cardinal


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
        ("4 m²", "four square meters"),
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
        ("5:30 p.m. Then go", "five thirty P-M. Then go"),
        ("at 5 p.m. on Monday", "at five P-M on Monday"),
        ("7:00", "seven o'clock"),
        ("9:05 am", "nine oh five A-M"),
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
        ("well-known and/or e-mail", "well-known and or e-mail"),
        ("sold for $2.5M last year", "sold for two point five million dollars last year"),
        ("$3B, €1.5bn and £20k", "three billion dollars, one point five billion euros and twenty thousand pounds"),
        ("$2T", "two trillion dollars"),
        ("the 1990s and the 1980's", "the nineteen nineties and the nineteen eighties"),
        ("in her 20s, in the late 60s", "in her twenties, in the late sixties"),
        ("back in the '70s", "back in the seventies"),
        ("Two 747s and some 500s", "Two seven forty sevens and some five hundreds"),
        ("after 20s, wait 120s", "after twenty seconds, wait one hundred twenty seconds"),
        ("Call 555-123-4567.", "Call five five five, one two three, four five six seven."),
        ("(555) 123-4567", "five five five, one two three, four five six seven"),
        ("+1 555-123-4567", "one, five five five, one two three, four five six seven"),
        ("Call 911 now", "Call nine one one now"),
        ("Phone 555-1234.", "Phone five five five, one two three four."),
        ("Dial 9-1-1.", "Dial nine one one."),
        ("ISBN 978-3-16-148410-0", "ISBN nine seven eight, three, one six, one four eight four one zero, zero"),
        ("10-3-2 = 5", "ten minus three minus two equals five"),
        ("We are open 24/7.", "We are open twenty four seven."),
        ("Split it 50/50.", "Split it fifty fifty."),
        (
            "On 01/02/2023 and 25/12/2024",
            "On January second, twenty twenty three and December twenty fifth, twenty twenty four",
        ),
        ("Add 2 1/2 cups.", "Add two and a half cups."),
        ("A 10x10 grid, 3x4=12", "A ten by ten grid, three times four equals twelve"),
        ("10^-3 grams", "ten to the power of minus three grams"),
        ("version v1.0.0, v2", "version one point zero point zero, version two"),
        ("Between 5%-10% of them", "Between five to ten percent of them"),
        ("US$5 and C$7.50", "five US dollars and seven Canadian dollars and fifty cents"),
        ("15.21 £ or 20€", "fifteen pounds and twenty one pence or twenty euros"),
        ("5 USD, EUR 20", "five US dollars, twenty euros"),
        ("$.50", "fifty cents"),
        ("₹500 and ¥1,000", "five hundred rupees and one thousand yen"),
        ("10m users, 7B parameters, 10k rows", "ten million users, seven billion parameters, ten thousand rows"),
        ("10 m deep, 10m deep", "ten meters deep, ten meters deep"),
        ("In 1908 it opened.", "In nineteen oh eight it opened."),
        ("See No. 5 and pp. 3-4.", "See number five and pages three to four."),
        ("No. That is all.", "No. That is all."),
        ("Fig. 3, vol. 2, approx. 5", "figure three, volume two, about five"),
        ("Dr. Smith's café, isn't it?", "Doctor Smith's café, isn't it?"),
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


CARDINALS: dict[str, int] = {str(num2words(number)).replace("-", " "): number for number in range(100)}


def value(words: str) -> int:
    """Read the words of a whole number back."""
    total = part = 0
    for word in words.split():
        if word == "hundred":
            part *= 100
        elif word in {"thousand", "million", "billion"}:
            total += part * {"thousand": 10**3, "million": 10**6, "billion": 10**9}[word]
            part = 0
        else:
            part += CARDINALS[word]
    return total + part


@given(
    st.integers(0, 10**9 - 1), st.integers(0, 99), st.sampled_from("$€£"),
    st.sampled_from(["before", "after", "spaced"]), st.booleans(),
)  # fmt: skip
def test_every_amount_of_money_is_said_to_the_cent(whole: int, cents: int, sign: str, where: str, commas: bool) -> None:
    number = f"{whole:,}.{cents:02}" if commas else f"{whole}.{cents:02}"
    written = {"before": f"{sign}{number}", "after": f"{number}{sign}", "spaced": f"{number} {sign}"}[where]
    said = speakable(f"It costs {written} now.").removeprefix("It costs ").removesuffix(" now.")
    large, _, small = said.rpartition(" and ") if re.search(r"(dollars?|euros?|pounds?) and ", said) else (said, "", "")
    if re.search(r"cents?$|penny$|pence$", large):
        large, small = "", large
    found = value(large.rsplit(" ", 1)[0]) if large else 0
    assert found == whole
    assert (value(small.rsplit(" ", 1)[0]) if small else 0) == cents


FRAGMENTS = st.sampled_from(
    ["$", "€", "₹", "US$", "2.5", "1990", "s", "M", "k", "x", "/", "-", "–", "%", " ", "1,200", "^", "v", "No. ", "m",
     "th", "°C", "abc", ".", ":", "+", "=", "½", "'", "£", "747", "(", ")"]
)  # fmt: skip


@given(st.lists(FRAGMENTS, max_size=10))
def test_no_number_is_glued_to_a_letter_and_no_figure_is_left(pieces: list[str]) -> None:
    said = speakable("".join(pieces))
    assert not re.search(r"\d", said)
    names = "one|two|three|four|five|six|seven|eight|nine|ten|twelve|twenty|forty|fifty|hundred|thousand|million"
    assert not re.search(rf"(?:percent|point|minus|plus|{names})(?!s\b|es\b|teen|ty|ies|th)[A-Za-z]", said)


def test_a_day_at_the_head_of_a_line_is_no_mark_of_a_list() -> None:
    german = language_of("de")
    assert speakable("1. Mai ist frei.", german) == "erster Mai ist frei."
    assert speakable("1. Äpfel kaufen", german) == "Äpfel kaufen"
