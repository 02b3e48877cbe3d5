"""German as it is read aloud. Pure. Whole numbers and ordinals are num2words'."""

from __future__ import annotations

import re
from typing import Final

from num2words import num2words

from languages.reading.continental import (
    NUMBER,
    ContinentalForms,
    ContinentalWords,
    CountedNoun,
)
from languages.reading.grammar import after, before, in_ascii, rule
from languages.reading.roman import roman

_MONTHS: Final = (
    "Januar", "Februar", "März", "April", "Mai", "Juni", "Juli",
    "August", "September", "Oktober", "November", "Dezember",
)  # fmt: skip
_MONTH: Final = rf"(?P<name>{'|'.join(_MONTHS)}|Jan\.|Feb\.|Apr\.|Aug\.|Sept?\.|Okt\.|Nov\.|Dez\.)"
_WEAK: Final = re.compile(r"(?i:\b(?:am|im|vom|zum|zur|dem|den|des|bis|seit|ab|beim|nach|ans|und|einem|einer|,)) ?$")
"""Before an ordinal that ends in -en."""
_NAMED: Final = re.compile(r"(?i:\b(?:der|die|das|diese[rs]?|jede[rs]?|eine))\s$")
"""Before one that ends in -e."""
_MINE: Final = re.compile(r"(?i:\b(?:[mds]?ein|kein|ihr|unser|euer))\s$")
"""Before one that ends in -er."""
_CENT: Final = CountedNoun("Cent", "Cent")
_HUNDREDS_OF_A_YEAR: Final = range(1100, 2000)


def _cardinal(number: int, gender: str) -> str:
    if number == 1 and gender:
        return "eine" if gender == "f" else "ein"
    return str(num2words(number, lang="de"))


def _ordinal(number: int, said_before: str) -> str:
    """Say the place in an order, with the ending that what stands before it asks for."""
    stem = str(num2words(number, lang="de", to="ordinal"))
    return stem + ("n" if _WEAK.search(said_before) else "" if _NAMED.search(said_before) else "r")


def _year(year: str) -> str:
    if int(year) in _HUNDREDS_OF_A_YEAR:
        return str(num2words(int(year), lang="de", to="year"))
    return _cardinal(int(year), "")


def _fraction(over: int, under: int) -> str:
    if (over, under) == (1, 2):
        return "ein halb"
    if not 0 < over < under <= 100:
        return f"{_cardinal(over, '')} durch {_cardinal(under, '')}"
    stem = (
        "Drittel"
        if under == 3
        else str(num2words(under, lang="de", to="ordinal")).removesuffix("e").capitalize() + "el"
    )
    return f"{_cardinal(over, 'm')} {'Halbe' if under == 2 else stem}"


def _mixed(whole: int, over: int, under: int) -> str:
    if (over, under) == (1, 2):
        return "eineinhalb" if whole == 1 else f"{_cardinal(whole, '')}einhalb"
    return f"{_cardinal(whole, '')} {_fraction(over, under)}"


def _date(found: re.Match[str], day: int, month: int, year: str) -> str:
    whole = "" if not year else f" {_year(year)}"
    return f"{_ordinal(day, before(found))} {_MONTHS[month - 1]}{whole}"


def _time(hour: int, minute: int) -> str:
    return f"{_cardinal(hour, 'm')} Uhr {_cardinal(minute, '') if minute else ''}".rstrip()


def _gender(number: int, follows: str) -> str:
    """Guess whether a thing is counted, and its gender: of one thing only it matters."""
    noun = re.match(r" ([A-ZÄÖÜ][a-zäöüß]+)", follows)
    if number != 1 or not noun:
        return ""
    return "f" if re.search(r"(?:e|ung|heit|keit|schaft|ion|tät|ur)$", noun[1]) and noun[1] != "Ende" else "m"


def _square(noun: CountedNoun, power: str) -> CountedNoun:
    named = "Quadrat" if power == "2" else "Kubik"
    return CountedNoun(f"{named}{noun.one.lower()}", f"{named}{noun.many.lower()}", noun.feminine)


def _same(name: str, *, feminine: bool = False) -> CountedNoun:
    return CountedNoun(name, name, feminine)


_HOUR: Final = CountedNoun("Stunde", "Stunden", feminine=True)
_MINUTE: Final = CountedNoun("Minute", "Minuten", feminine=True)
_SECOND: Final = CountedNoun("Sekunde", "Sekunden", feminine=True)
_UNITS: Final = {
    **{f"{sign}{unit}": _same(f"{name}{word}".capitalize()) for unit, word in
       (("m", "meter"), ("g", "gramm"), ("l", "liter"), ("L", "liter"), ("W", "watt"), ("V", "volt"), ("Hz", "hertz"),
        ("B", "byte"), ("Pa", "pascal"), ("J", "joule"), ("Bit", "bit"), ("bit", "bit"))
       for sign, name in {"": "", "k": "kilo", "c": "zenti", "m": "milli", "M": "mega", "G": "giga", "T": "tera",
                          "µ": "mikro", "n": "nano", "h": "hekto", "d": "dezi"}.items()},
    **{f"{sign}Wh": CountedNoun(f"{name}wattstunde".capitalize(), f"{name}wattstunden".capitalize(), feminine=True)
       for sign, name in {"": "", "k": "kilo", "M": "mega", "G": "giga", "T": "tera"}.items()},
    "KB": _same("Kilobyte"), "h": _HOUR, "Std.": _HOUR, "Std": _HOUR, "min": _MINUTE, "Min.": _MINUTE, "Min": _MINUTE,
    "s": _SECOND, "Sek.": _SECOND, "sek": _SECOND,
    "ms": CountedNoun("Millisekunde", "Millisekunden", feminine=True),
    "t": CountedNoun("Tonne", "Tonnen", feminine=True),
    "ha": _same("Hektar"), "mAh": CountedNoun("Milliamperestunde", "Milliamperestunden", feminine=True),
    "kcal": CountedNoun("Kilokalorie", "Kilokalorien", feminine=True), "PS": _same("PS"), "dB": _same("Dezibel"),
    "°C": _same("Grad Celsius"), "°F": _same("Grad Fahrenheit"), "°": _same("Grad"), "%": _same("Prozent"),
    "‰": _same("Promille"), "px": _same("Pixel"), "Mbps": _same("Megabit pro Sekunde"), "EL": _same("Esslöffel"),
    "TL": _same("Teelöffel"),
}  # fmt: skip
_WORDS: Final = ContinentalWords(
    cardinal=_cardinal, fraction=_fraction, date=_date, time=_time, noun_of=_gender, mixed=_mixed, square=_square,
    point="Komma", minus="minus", to="bis", ratio="zu", per="pro", and_cents=" und ", of_millions=" ", power="hoch",
    raised={"2": "Quadrat", "3": "hoch drei"}, scientific="mal zehn hoch", port="Port", number_sign="Nummer",
    scales={
        "Tsd.": ("eintausend", "tausend"), "Mio.": ("eine Million", "Millionen"), "Mio": ("eine Million", "Millionen"),
        "Mrd.": ("eine Milliarde", "Milliarden"), "Mrd": ("eine Milliarde", "Milliarden"),
        "Million": ("eine Million", "Millionen"), "Millionen": ("eine Million", "Millionen"),
        "Milliarde": ("eine Milliarde", "Milliarden"), "Milliarden": ("eine Milliarde", "Milliarden"),
        "k": ("eintausend", "tausend"),
    },
    money={
        "€": CountedNoun("Euro", "Euro", part=_CENT), "EUR": CountedNoun("Euro", "Euro", part=_CENT),
        "Euro": CountedNoun("Euro", "Euro", part=_CENT), "$": CountedNoun("Dollar", "Dollar", part=_CENT),
        "US$": CountedNoun("US-Dollar", "US-Dollar", part=_CENT),
        "USD": CountedNoun("US-Dollar", "US-Dollar", part=_CENT),
        "£": CountedNoun("Pfund", "Pfund", part=CountedNoun("Penny", "Pence")),
        "CHF": CountedNoun("Franken", "Franken", part=CountedNoun("Rappen", "Rappen")),
        "Fr.": CountedNoun("Franken", "Franken", part=CountedNoun("Rappen", "Rappen")),
        "¥": CountedNoun("Yen", "Yen"), "₹": CountedNoun("Rupie", "Rupien", feminine=True),
        "ct": _CENT, "Cent": _CENT,
    },
    units=_UNITS,
    short={
        "z. B.": "zum Beispiel", "z.B.": "zum Beispiel", "d. h.": "das heißt", "d.h.": "das heißt",
        "u. a.": "unter anderem", "u.a.": "unter anderem", "bzw.": "beziehungsweise", "ca.": "circa",
        "v. Chr.": "vor Christus", "n. Chr.": "nach Christus", "inkl.": "inklusive", "zzgl.": "zuzüglich",
        "evtl.": "eventuell", "usw.": "und so weiter", "etc.": "et cetera",
        "Dr.": "Doktor", "Prof.": "Professor", "Hr.": "Herr", "Fr.": "Frau", "Mind.": "Mindestens",
        "mind.": "mindestens",
        "max.": "maximal", "vgl.": "vergleiche", "ggf.": "gegebenenfalls", "z. T.": "zum Teil",
        "o. Ä.": "oder Ähnliches",
        "km/h": "Kilometer pro Stunde", "m/s": "Meter pro Sekunde",
    },
    before_numbers={
        "Nr.": "Nummer", "S.": "Seite", "Abb.": "Abbildung", "Abs.": "Absatz", "Art.": "Artikel", "Kap.": "Kapitel",
        "Bd.": "Band", "Tel.": "Telefon", "Tab.": "Tabelle",
    },
    operators={
        "×": "mal", "·": "mal", "*": "mal", "÷": "geteilt durch", "/": "durch", "+": "plus", "-": "minus",
        "−": "minus", "=": "gleich", "≈": "ungefähr gleich", "≠": "ungleich", "<": "kleiner als", ">": "größer als",
        "≤": "höchstens", "≥": "mindestens", "±": "plus minus", "∕": "durch", "→": "nach", "√": "Wurzel aus",
        "∞": "unendlich", "π": "Pi", "&": "und", "§": "Paragraf", "~": "ungefähr",
    },
    named_by_figures=re.compile(
        r"(?i:\b(?:isbn|pin|code|passwort|nummer|bestellnummer|kundennummer|kontonummer|postleitzahl|plz|konto)"
        r"(?: ist| lautet|:)? )$"
    ),
    called="ruf|rufe|rufen sie|wähle|wählen sie|notruf|telefon|tel\\.|nummer|unter|anruf",
    addresses=("at", "Punkt", "Bindestrich", "Unterstrich", "plus", "Hashtag"),
    phones=(
        r"\+\d{1,3}(?:[ ./-]?\(?\d{1,8}\)?){1,6}(?<=\d)(?![-\w])",
        r"\(?0\d{2,5}\)?[ /-]\d{2,9}(?:[ -]\d{2,5}){0,4}(?![-\w])",
        r"\d{4}(?: \d{4}){3}(?![-\w])",
    ),
    letters="äöüÄÖÜß",
)  # fmt: skip
_FORMS: Final = ContinentalForms(_WORDS)


def _named_date(found: re.Match[str]) -> str:
    name = found["name"].rstrip(".")
    month = next(full for full in _MONTHS if full.startswith(name[:3]))
    year = f" {_year(found['year'])}" if found["year"] else ""
    low = f"{_ordinal(int(found['low']), before(found))} bis " if found["low"] else ""
    said_before = "am " if found["low"] else before(found)
    return f"{low}{_ordinal(int(found['day']), said_before)} {month}{year}"


def _day_and_month(found: re.Match[str]) -> str | None:
    day, month = int(found["day"]), int(found["month"])
    return _date(found, day, month, "") if 1 <= month <= 12 and 1 <= day <= 31 else None


def _clock(found: re.Match[str]) -> str:
    minute = int(found["minute"] or 0)
    low = f"{_cardinal(int(found['low']), 'm')} bis " if found["low"] else ""
    seconds = f" und {_FORMS.counted(str(int(found['second'])), _SECOND)}" if found["second"] else ""
    return low + _time(int(found["hour"]), minute) + seconds


def _place_in_order(found: re.Match[str]) -> str | None:
    """Say figures with a full stop as an ordinal, where an article stands before them and a noun behind."""
    if not any(told.search(before(found)) for told in (_WEAK, _NAMED, _MINE)):
        return None
    return _ordinal(int(found["number"]), before(found))


def _bare_year(found: re.Match[str]) -> str | None:
    """Say four figures as a year, but where they count something."""
    told = re.search(
        r"(?i:\b(?:jahre?s?|seit|anno|sommer|winter|herbst|frühling|um|von|bis|ende|anfang|mitte)) $", before(found)
    )
    counts = re.match(r" [A-ZÄÖÜ]|[.,:/]?\d|%| ?(?:€|%|km|m|kg|g|l)\b", after(found))
    return _year(found.group()) if told or not counts else None


def _decade(found: re.Match[str]) -> str:
    return f"{_year(found['number'])}er"


def _king(found: re.Match[str]) -> str | None:
    value = roman(found["number"])
    if not value:
        return None
    if re.search(r"(?:Kapitel|Teil|Band|Akt|Apollo|Rocky|Klasse|Typ|Stufe) $", before(found)):
        return _cardinal(value, "") + found["dot"]
    behind_name = re.search(r"\b[A-ZÄÖÜ][a-zäöü]+ $", before(found)) and found["dot"]
    if not behind_name:
        return None
    ends = "." if not after(found).strip() else ""
    return f"der {str(num2words(value, lang='de', to='ordinal')).capitalize()}{ends}"


_DAY: Final = r"(?P<day>3[01]|[12]\d|0?[1-9])"
_GRAMMAR: Final = _FORMS.grammar(
    words=(rule(r"(?P<number>[IVXL]+)(?P<dot>\.?)(?![\w.])", _king),),
    signs=(
        rule(
            rf"(?:(?P<low>3[01]|[12]\d|[1-9])\. ?(?:bis|[-–]) ?)?{_DAY}\. ?{_MONTH}(?: (?P<year>[12]\d{{3}})\b)?",
            _named_date,
        ),
        rule(rf"{_DAY}\.(?P<month>1[0-2]|0?[1-9])\.(?![\d])", _day_and_month),
        rule(
            r"(?:(?P<low>2[0-4]|1?\d) ?(?:[-–]|bis) ?)?(?P<hour>2[0-4]|[01]?\d)(?:[:.](?P<minute>[0-5]\d))?"
            r"(?::(?P<second>[0-5]\d))? ?(?:Uhr|h(?= )(?<=\d h))(?!\w)",
            _clock,
        ),
        rule(r"(?P<number>\d{1,3})\.(?= [A-ZÄÖÜa-zäöü])", _place_in_order),
        rule(r"(?P<number>[1-9]\d|1[1-9]\d0|20\d0)er\b", _decade),
        rule(r"(?:1[1-9]|20)\d\d(?!\d)(?![.,]\d|/|-\d\d?(?!\d))", _bare_year),
        rule(r"(?P<number>\d{1,3})-?mal\b", lambda found: f"{_FORMS.number(found['number'], 'm')}mal"),
        rule(rf"(?P<number>{NUMBER})-(?=[A-Za-zÄÖÜäöü])", lambda found: f"{_FORMS.number(found['number'], 'm')}-"),
        rule(r"/(?<=und/)(?=oder\b)", " "),
        rule(r"/(?<=[a-zäöüß]/)(?=[a-zäöüß])", " oder "),
        rule(r" : (?<=\d : )(?=\d)", " geteilt durch "),
        rule(r"§ ?(?=\d)", "Paragraf "),
        rule(r"~ ?(?=\d)", "ungefähr "),
    ),
)


def read_aloud(text: str) -> str:
    """Write every number, sign and short form in `text` as German words. Text without them stays as it is."""
    return _GRAMMAR.read(in_ascii(text))
