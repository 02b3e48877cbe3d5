"""Spanish as it is read aloud. Pure.

Whole numbers below a thousand are num2words'; above, and before nouns, it says "veintiuno mil" for "veintiún mil" and
knows no gender, so that both are made here.
"""

from __future__ import annotations

import re
from typing import Final

from num2words import num2words

from languages.reading.continental import NUMBER, ContinentalForms, ContinentalWords, CountedNoun
from languages.reading.grammar import after, before, in_ascii, rule
from languages.reading.roman import roman

_MONTHS: Final = (
    "enero", "febrero", "marzo", "abril", "mayo", "junio", "julio",
    "agosto", "septiembre", "octubre", "noviembre", "diciembre",
)  # fmt: skip
_ORDINALS: Final = (
    "primero", "segundo", "tercero", "cuarto", "quinto", "sexto", "séptimo", "octavo", "noveno", "décimo",
    "undécimo", "duodécimo", "decimotercero", "decimocuarto", "decimoquinto", "decimosexto", "decimoséptimo",
    "decimoctavo", "decimonoveno", "vigésimo",
)  # fmt: skip
_PARTS: Final = {2: "medio", 3: "tercio", 4: "cuarto", 5: "quinto", 6: "sexto", 7: "séptimo", 8: "octavo",
                 9: "noveno", 10: "décimo", 100: "centésimo"}  # fmt: skip
_MASCULINE: Final = re.compile(
    r"(?:días?|mapas?|planetas?|idiomas?|(?:te|siste|proble|progra|poe|esque)mas?|tranvías?)$"
)
_FEMININE: Final = re.compile(
    r"(?:as?|ción|ciones|sión|siones|dad|dades|tud|tudes|manos?|veces|vez|noches?|tardes?|mujer|mujere|flore?|imágene|"
    r"llave|calle|clase|frase|parte|leche|fuente|red|rede)$"
)
_KING: Final = re.compile(r"\b(?:Felipe|Alfonso|Carlos|Fernando|Juan|Pablo|Luis|Enrique|Isabel|Pío|Benedicto|Pedro|"
                          r"Jaime|Sancho|Napoleón|Jorge|Francisco|Guillermo|León|Gregorio|Amadeo) $")  # fmt: skip


def _cardinal(number: int, gender: str) -> str:
    """Say a number: "veintiuno", "veintiún" before something masculine, "veintiuna" before something feminine."""
    said: list[str] = []
    millions, rest = divmod(number, 10**6)
    thousands, units = divmod(rest, 1000)
    if millions:
        said.append("un millón" if millions == 1 else f"{_cardinal(millions, 'm')} millones")
    if thousands:
        said.append("mil" if thousands == 1 else f"{_below_thousand(thousands, gender or 'm')} mil")
    if units or not number:
        said.append(_below_thousand(units, gender))
    return " ".join(said)


def _below_thousand(number: int, gender: str) -> str:
    said = str(num2words(number, lang="es"))
    if gender == "m":
        said = re.sub(r"veintiuno$", "veintiún", said)
        return re.sub(r"\buno$", "un", said)
    return (
        re.sub(r"cientos", "cientas", re.sub(r"quinientos", "quinientas", re.sub("uno$", "una", said)))
        if gender
        else said
    )


def _gender(number: int, follows: str) -> str:
    """Guess from a word in the plural, or of one thing in the singular, what is counted."""
    noun = re.match(r" ([a-záéíóúüñ]{3,})(?!\w)", follows)
    if not noun or (number == 1) == noun[1].endswith("s") or noun[1] in {"más", "menos", "desde", "hasta", "para"}:
        return ""
    if number == 1 and not noun[1].endswith(("o", "a", "n", "d", "l", "r", "e", "z")):
        return ""
    if _MASCULINE.search(noun[1]):
        return "m"
    return "f" if _FEMININE.search(noun[1].removesuffix("s")) else "m"


def _fraction(over: int, under: int) -> str:
    if (over, under) == (1, 2):
        return "medio"
    if not 0 < over < under <= 100:
        return f"{_cardinal(over, '')} entre {_cardinal(under, '')}"
    part = _PARTS.get(under) or f"{_cardinal(under, '').replace(' ', '')}avo"
    return f"{_cardinal(over, 'm')} {part}{'' if over == 1 else 's'}"


def _mixed(whole: int, over: int, under: int) -> str:
    return f"{_cardinal(whole, 'm')} y {_fraction(over, under)}"


def _date(_: re.Match[str], day: int, month: int, year: str) -> str:
    whole = f" de {_cardinal(int(year), '')}" if year else ""
    return f"{_cardinal(day, '')} de {_MONTHS[month - 1]}{whole}"


def _time(hour: int, minute: int) -> str:
    said = _cardinal(hour, "f")
    return f"{said} y {_cardinal(minute, '')}" if minute else said


def _square(noun: CountedNoun, power: str) -> CountedNoun:
    named = "cuadrado" if power == "2" else "cúbico"
    return CountedNoun(f"{noun.one} {named}", f"{noun.many} {named}s", noun.feminine)


def _noun(one: str, many: str = "", *, feminine: bool = False) -> CountedNoun:
    return CountedNoun(one, many or f"{one}s", feminine)


_CENT: Final = _noun("céntimo")
_EURO: Final = CountedNoun("euro", "euros", part=_CENT)
_DOLLAR: Final = CountedNoun("dólar", "dólares", part=_noun("centavo"))
_POUND: Final = CountedNoun("libra", "libras", feminine=True, part=_noun("penique"))
_PESO: Final = CountedNoun("peso", "pesos", part=_noun("centavo"))
_HOUR: Final = _noun("hora", feminine=True)
_MINUTE: Final = _noun("minuto")
_SECOND: Final = _noun("segundo")
_UNITS: Final = {
    **{f"{sign}{unit}": _noun(f"{name}{word}") for unit, word in
       (("g", "gramo"), ("l", "litro"), ("L", "litro"), ("W", "vatio"), ("V", "voltio"), ("B", "byte"), ("J", "julio"))
       for sign, name in {"": "", "k": "kilo", "c": "centi", "m": "mili", "M": "mega", "G": "giga", "T": "tera",
                          "µ": "micro", "d": "deci"}.items()},
    **{f"{sign}m": _noun(f"{name}metro") for sign, name in
       {"": "", "k": "kiló", "c": "centí", "m": "milí", "µ": "micró", "n": "nanó"}.items()},
    **{f"{sign}Hz": _noun(f"{name}hercio") for sign, name in {"": "", "k": "kilo", "M": "mega", "G": "giga"}.items()},
    **{f"{sign}Wh": _noun(f"{name}vatio hora", f"{name}vatios hora") for sign, name in
       {"": "", "k": "kilo", "M": "mega", "G": "giga"}.items()},
    "KB": _noun("kilobyte"), "h": _HOUR, "hs": _HOUR, "hrs": _HOUR, "min": _MINUTE, "s": _SECOND, "seg": _SECOND,
    "ms": _noun("milisegundo"), "t": _noun("tonelada", feminine=True), "ha": _noun("hectárea", feminine=True),
    "kcal": _noun("kilocaloría", feminine=True), "dB": _noun("decibelio"), "px": _noun("píxel", "píxeles"),
    "Mbps": _noun("megabit por segundo", "megabits por segundo"), "hPa": _noun("hectopascal", "hectopascales"),
    "°C": _noun("grado Celsius", "grados Celsius"), "°F": _noun("grado Fahrenheit", "grados Fahrenheit"),
    "°": _noun("grado"), "ºC": _noun("grado Celsius", "grados Celsius"), "%": _noun("por ciento", "por ciento"),
    "‰": _noun("por mil", "por mil"),
}  # fmt: skip
_SAID: Final = ContinentalWords(
    cardinal=_cardinal, fraction=_fraction, date=_date, time=_time, noun_of=_gender, mixed=_mixed, square=_square,
    point="coma", minus="menos", to="a", ratio="a", per="por", and_cents=" con ", of_millions=" de ", power="elevado a",
    raised={"2": "al cuadrado", "3": "al cubo"}, scientific="por diez elevado a", port="puerto", number_sign="número",
    scales={
        "millón": ("un millón", "millones"), "millones": ("un millón", "millones"), "mil": ("mil", "mil"),
        "mil millones": ("mil millones", "mil millones"), "k": ("mil", "mil"), "K": ("mil", "mil"),
        "M": ("un millón", "millones"),
    },
    money={
        "€": _EURO, "EUR": _EURO, "euros": _EURO, "euro": _EURO, "$": _DOLLAR, "US$": _DOLLAR, "USD": _DOLLAR,
        "dólares": _DOLLAR, "£": _POUND, "MXN": _PESO, "pesos": _PESO, "¥": CountedNoun("yen", "yenes"),
        "₹": _noun("rupia", feminine=True), "cts.": _CENT, "CHF": _noun("franco suizo", "francos suizos"),
        "S/": CountedNoun("sol", "soles", part=_CENT),
    },
    units=_UNITS,
    short={
        "p. ej.": "por ejemplo", "p.ej.": "por ejemplo", "Sr.": "señor", "Sra.": "señora", "Sres.": "señores",
        "Dr.": "doctor", "Dra.": "doctora", "Ud.": "usted", "Uds.": "ustedes", "EE. UU.": "Estados Unidos",
        "EE.UU.": "Estados Unidos", "aprox.": "aproximadamente", "a. C.": "antes de Cristo",
        "d. C.": "después de Cristo",
        "km/h": "kilómetros por hora", "m/s": "metros por segundo", "etc.": "etcétera",
    },
    before_numbers={
        "n.º": "número", "nº": "número", "N.º": "número", "Nº": "número", "núm.": "número", "Núm.": "número",
        "pág.": "página", "págs.": "páginas", "p.": "página", "pp.": "páginas", "fig.": "figura", "cap.": "capítulo",
        "vol.": "volumen", "art.": "artículo", "tel.": "teléfono", "Tel.": "teléfono",
    },
    operators={
        "×": "por", "·": "por", "*": "por", "÷": "entre", "/": "entre", "+": "más", "-": "menos", "−": "menos",
        "=": "igual a", "≈": "aproximadamente igual a", "≠": "distinto de", "<": "menor que", ">": "mayor que",
        "≤": "menor o igual que", "≥": "mayor o igual que", "±": "más menos", "∕": "sobre", "→": "a",
        "√": "la raíz cuadrada de", "∞": "infinito", "π": "pi", "&": "y", "~": "unos", "§": "sección",
    },
    named_by_figures=re.compile(
        r"(?i:\b(?:isbn|pin|código|clave|contraseña|pedido|cuenta|número|postal|referencia)(?: es|:| número)? )$"
    ),
    called="llame al|llama al|llamar al|marque el|marca el|teléfono|tel\\.|número|al|marque|marca",
    addresses=("arroba", "punto", "guion", "guion bajo", "más", "almohadilla"),
    phones=(
        r"\+\d{1,3}(?:[ .-]?\(?\d{1,9}\)?){1,6}(?<=\d)(?![-\w])",
        r"[6-9]\d{2}[ -]\d{3}[ -]\d{3}(?![-\w]| ?\d)",
        r"[6-9]\d{1,2}(?:[ -]\d{2,3}[ -]\d{2}[ -]\d{2})(?![-\w])",
        r"[6-9]\d{8}(?![\d.,]\d)(?!\w)",
        r"\d{4}(?: \d{4}){3}(?![-\w])",
    ),
    letters="áéíóúüñÁÉÍÓÚÜÑ",
)  # fmt: skip
_FORMS: Final = ContinentalForms(_SAID)


def _place_in_order(found: re.Match[str]) -> str | None:
    """Say "1.º", "3.ª" and "1er"."""
    number, end = int(found["number"]), found["end"]
    if not 1 <= number <= len(_ORDINALS):
        return _cardinal(number, "f" if end == "ª" else "m")
    said = _ORDINALS[number - 1]
    if end in {"er", "ᵉʳ"} or (number in {1, 3} and end == "º" and re.match(r" (?!de\b|en\b|y\b)[a-z]", after(found))):
        return said.removesuffix("o")
    return said[:-1] + "a" if end in {"ª", "a"} else said


def _king(found: re.Match[str]) -> str | None:
    """Say a roman number: as an ordinal behind kings up to the tenth, as a cardinal behind others."""
    value, name = roman(found.group()), before(found)
    if not value or (len(found.group()) == 1 and not re.search(r"(?i:\bsiglos? |capítulo |tomo |parte )$", name)
                     and not _KING.search(name)):  # fmt: skip
        return None
    if _KING.search(name) and value <= 10:
        said = _ORDINALS[value - 1]
        return f"{said[:-1]}a" if name.endswith("Isabel ") else said
    return (
        _cardinal(value, "")
        if re.search(r"(?:\b[A-ZÁÉÍÓÚ]\w+|siglos?|siglos [IVXL]+ y|capítulo|tomo|parte|volumen|fase) $", name)
        else None
    )


def _named_date(found: re.Match[str]) -> str:
    low = f"{_cardinal(int(found['low']), '')} {found['between']} " if found["low"] else ""
    year = f" de {_cardinal(int(found['year']), '')}" if found["year"] else ""
    return f"{low}{_cardinal(int(found['day']), '')} de {found['name']}{year}"


def _day_and_month(found: re.Match[str]) -> str | None:
    """Say "el 12/5"."""
    told = re.search(r"(?i:\b(?:el|del|al|día)) $", before(found))
    return _date(found, int(found["day"]), int(found["month"]), "") if told else None


def _clock(found: re.Match[str]) -> str:
    low = f"{_time(int(found['low']), 0)} a " if found["low"] else ""
    half = {"a": " de la mañana", "p": " de la tarde", "": ""}[(found["half"] or "")[:1].lower()]
    said = _time(int(found["hour"]), int(found["minute"] or 0))
    hours = " horas" if found["h"] else ""
    ends = "." if found.group().endswith(".") and not after(found).strip() else ""
    return f"{low}{said}{hours}{half}{ends}"


_GRAMMAR: Final = _FORMS.grammar(
    words=(rule(r"[IVXL]+(?!\w)", _king),),
    signs=(
        rule(
            rf"(?:(?P<low>\d\d?) (?P<between>al|a|y) )?(?P<day>3[01]|[12]\d|[1-9]) de (?P<name>{'|'.join(_MONTHS)})"
            r"(?: (?:de|del) (?P<year>[12]\d{3})(?!\d))?",
            _named_date,
        ),
        rule(r"(?P<day>3[01]|[12]\d|[1-9])/(?P<month>1[0-2]|[1-9])(?![\d/])", _day_and_month),
        rule(r"(?P<number>\d{1,4})\.?(?P<end>º|ª|er|ᵉʳ)(?![\wC])", _place_in_order),
        rule(
            r"(?:(?P<low>2[0-4]|1?\d) ?[-–] ?)?(?P<hour>2[0-4]|[01]?\d)[:.](?P<minute>[0-5]\d) ?"
            r"(?:(?P<h>hrs?\b\.?|h\b\.?)|(?P<half>[aApP]\. ?[mM]\.|[aApP][mM]\b))",
            _clock,
        ),
        rule(r"(?P<low>)(?P<hour>1[0-2]|[1-9])(?P<minute>)(?P<h>) ?(?P<half>[aApP]\. ?[mM]\.|[aApP][mM]\b)", _clock),
        rule(r"(?P<number>\d+)-(?=[A-Za-z])", lambda found: f"{_FORMS.number(found['number'])}-"),
        rule(r"/(?<=\by/)(?=o\b)", " "),
        rule(r"/(?<=[a-záéíóúñ]/)(?=[a-záéíóúñ])", " o "),
        rule(rf"~ ?(?={NUMBER})", "unos "),
    ),
)


def read_aloud(text: str) -> str:
    """Write every number, sign and short form in `text` as Spanish words. Text without them stays as it is."""
    return _GRAMMAR.read(in_ascii(text))
