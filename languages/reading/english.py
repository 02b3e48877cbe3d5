"""English as it is read aloud. Pure.

Money, measures, dates and times have modules of their own; what stands here are codes, mathematics and what is left.
The order of the rules is their precedence.
"""

from __future__ import annotations

import re
from typing import Final

from languages.reading.addresses import AddressWords, address_rules
from languages.reading.english_calendar import calendar_rules
from languages.reading.english_numbers import (
    AMOUNT,
    NUMBER,
    before_noun,
    cardinal,
    digits,
    fraction,
    groups,
    ordinal,
    plural,
    year,
)
from languages.reading.english_quantities import measure_of_part, measures_of_parts, quantity_rules
from languages.reading.grammar import ReadingGrammar, after, any_of, before, in_ascii, rule, with_stop
from languages.reading.roman import roman

_SHORT: Final = {
    "no": "number", "nos": "numbers", "nr": "number", "p": "page", "pg": "page",
    "pp": "pages", "fig": "figure", "figs": "figures",
    "vol": "volume", "ch": "chapter", "sec": "section", "approx": "about", "ca": "about", "c": "about",
    "art": "article", "eq": "equation", "ext": "extension", "tel": "telephone", "apt": "apartment",
}  # fmt: skip
"""Abbreviations that stand before a number."""
_SHORT_WORDS: Final = {"e.g.": "for example",
    "incl.": "including",
    "excl.": "excluding", "i.e.": "that is", "vs.": "versus",
    "PIN": "pin", "vs": "versus", "etc.": "et cetera",
                       "w/": "with", "w/o": "without", "C#": "C sharp", "F#": "F sharp"}  # fmt: skip
_TITLES: Final = {"Mr": "Mister", "Mrs": "Missus", "Ms": "Miz", "Dr": "Doctor", "Prof": "Professor", "Gen": "General"}
"""Before a name."""
_OPERATORS: Final = {
    "×": "times", "·": "times", "*": "times", "x": "times", "÷": "divided by", "/": "divided by", "+": "plus",
    "-": "minus", "−": "minus", "–": "minus", "=": "equals", "≈": "is about", "≠": "is not equal to",
    "<": "is less than", ">": "is greater than", "≤": "is at most", "≥": "is at least", "±": "plus or minus",
    "∕": "over", "==": "equals", "!=": "is not equal to", "<=": "is at most", ">=": "is at least",
    "→": "to", "->": "to", "∞": "infinity", "√": "the square root of", "π": "pi", "∑": "the sum of",
}  # fmt: skip
_SPACED_OUT: Final = ("≈", "≠", "≤", "≥", "×", "·", "÷", "±", "=", "<", ">", "∕", "==", "!=", "<=", ">=", "+", "*",
                      "→", "->", "∞", "√", "∑")  # fmt: skip
"""What is an operator wherever it stands."""

_KINGS: Final = (
    "Henry|Louis|Elizabeth|Charles|George|Edward|Richard|James|William|John|Paul|Pius|Benedict|Leo|Gregory|Innocent|"
    "Francis|Philip|Napoleon|Alexander|Nicholas|Frederick|Catherine|Otto|Ramses|Ramesses|Ptolemy|Cleopatra|Peter|Ivan|"
    "Gustav|Christian|Carl|Karl|Ferdinand|Alfonso|Leopold|Clement|Urban|Boniface|Mehmed|Selim|Xerxes|Darius|Wilhelm|"
    "Friedrich|Robert|Haakon|Olav|Harald|Felipe|Margrethe|Mary|Victor|Murad|Sixtus|Celestine|Theodosius|Constantine"
)
_NUMBERED: Final = (
    "War|Part|Chapter|Phase|Type|Class|Volume|Act|Scene|Section|Title|Level|Book|Bowl|Apollo|Mark|Article|Grade|Stage|"
    "Episode|Schedule|Table|Rocky|Gemini|Division|Group|Figure|Appendix|Amendment|Factor"
)
_KING: Final = re.compile(rf"\b(?:{_KINGS}) $")
_OF_SEVERAL: Final = re.compile(rf"(?i:\b(?:{_NUMBERED})) $")
_BEHIND_KING: Final = re.compile(r"(?:['’]s\b|[.,;:!?)]|$| (?:of|was|is|and|died|ruled|became|had|who|in)\b)")
_SEVERAL: Final = (
    r"\d+|two|three|four|five|six|seven|eight|nine|ten|some|several|many|few|these|those|all|both|old|new|of"
)
_DIRECTIONS: Final = {"N": "north", "S": "south", "E": "east", "W": "west", "": ""}


def read_aloud(text: str) -> str:
    """Write every number, sign and short form in `text` as English words. Text without them stays as it is."""
    return _GRAMMAR.read(in_ascii(text))


def _roman(found: re.Match[str]) -> str | None:
    """Say a roman number behind a king, a war or the like, or before a century."""
    value, name = roman(found.group()), before(found)
    if not value:
        return None
    if re.match(r"(?:th)? (?i:centur)", after(found)):
        return ordinal(value)
    if _OF_SEVERAL.search(name):
        return cardinal(str(value)).capitalize()
    if _KING.search(name) and (len(found.group()) > 1 or _BEHIND_KING.match(after(found))):
        return f"the {ordinal(value)}"
    several = len(found.group()) > 1 and re.search(r"\b[A-Z][a-z]+ $", name) and found.group() not in {"XL", "LI", "LV"}
    return cardinal(str(value)) if several else None


def _code(found: re.Match[str]) -> str:
    """Say a name of letters and figures: "BA2490", "H2O", "SW1A"."""
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", found.group())
    several = sum(part.isdigit() for part in parts) > 1
    said = []
    for part in parts:
        if not part.isdigit():
            said.append(_letters(part) if part.isupper() and len(part) <= 3 else part)
        elif len(part) > 2 or part.startswith("0"):
            of_year = re.fullmatch(r"(?:19|20)\d\d", part) and not several and (len(parts[0]) > 2 or parts[0] == "FY")
            said.append(year(int(part)) if of_year else digits(part))
        else:
            said.append(cardinal(part))
    words = re.sub(r"\bA (?=[a-z])", "A-", " ".join(said))
    return words.removesuffix(".") if after(found).startswith(".") else words


def _letters(name: str) -> str:
    """Spell a name so that voices take no "A" of it for the article."""
    return ".".join(f"{name} ").rstrip() if "A" in name and len(name) > 1 else " ".join(name)


def _power(found: re.Match[str]) -> str:
    power = found["power"].strip("{}()").replace("−", "-")
    raised = {"2": " squared", "3": " cubed"}.get(power)
    return raised or f" to the power of {_signed(power)}"


def _signed(number: str) -> str:
    named = re.sub(r"^[-−]", "", number)
    said = cardinal(named) if re.fullmatch(NUMBER, named) else named
    return f"minus {said}" if named != number else said


def _scientific(found: re.Match[str]) -> str:
    return f"{cardinal(found['number'])} times ten to the power of {_signed(found['power'].lstrip('+'))}"


def _mixed(found: re.Match[str]) -> str | None:
    over, under = int(found["over"]), int(found["under"])
    if not 0 < over < under <= 100:
        return None
    part = re.sub(r"^one (?=e)", "an ", fraction(over, under))
    part = re.sub("^one ", "a ", part)
    return f"{cardinal(found['whole'])} and {part}{measures_of_parts(found['unit'] or found['inch'] or '')}"


def _part(found: re.Match[str]) -> str:
    return fraction(int(found["over"]), int(found["under"])) + measure_of_part(found["unit"] or found["inch"] or "")


def _feet(found: re.Match[str]) -> str | None:
    """Say "5'10"" as a height."""
    inches = found["inches"]
    if not inches:
        return f"{cardinal(found['feet'])} {'foot' if found['feet'] == '1' or before_noun(found) else 'feet'}"
    return f"{cardinal(found['feet'])} foot {cardinal(inches)}"


def _inches(found: re.Match[str]) -> str | None:
    if found.group().endswith('"') and re.sub(r'\d"', "", found.string[: found.start()]).count('"') % 2:
        return None  # it closes a quotation
    return f"{cardinal(found['inches'])} {'inch' if found['inches'] == '1' or before_noun(found) else 'inches'}"


def _place(found: re.Match[str]) -> str:
    """Say degrees, minutes and seconds of a place on the globe."""
    said = f"{cardinal(found['degrees'])} degrees"
    if found["minutes"]:
        said += f" {cardinal(found['minutes'])} minutes"
    if found["seconds"]:
        said += f" {cardinal(found['seconds'])} seconds"
    return f"{said} {_DIRECTIONS[found['where'] or '']}".rstrip()


def _model(found: re.Match[str]) -> str | None:
    """Say the name of several: "747s" is "seven forty sevens"."""
    number = found["number"]
    if not re.search(rf"(?i:\b(?:{_SEVERAL}) )$", before(found)):
        return None
    parts = [number[:-2], number[-2:]] if number[-2] != "0" else [number]
    return plural(" ".join(map(cardinal, parts)))


def _machine(found: re.Match[str]) -> str | None:
    """Say an address of the internet protocol."""
    parts = found["parts"].split(".")
    if any(int(part) > 255 for part in parts):
        return None
    port = f" port {digits(found['port'])}" if found["port"] else ""
    port = f" slash {cardinal(found['mask'])}" if found["mask"] else port
    return " dot ".join(map(digits, parts)) + port


def _dash(found: re.Match[str]) -> str | None:
    """Say a dash between two numbers: a range, or a difference where it is set equal to something."""
    left, right = before(found), after(found)
    if re.search(r"\b(?:Boeing|Airbus|Embraer|McDonnell Douglas) \d+$", left):
        return " "
    if re.match(r"[\d.,()]+(?: ?[-–−+*×/] ?[\d.,()]+){0,6} ?(?:=|is\b|equals\b|gives\b)", right):
        return " minus "
    if " " not in found.group() or "–" in found.group() or "—" in found.group():
        return " to "
    first, last = re.search(rf"({NUMBER})\W*$", left), re.match(rf"[$€£]?({NUMBER})", right)
    rises = first and last and float(first[1].replace(",", "")) < float(last[1].replace(",", ""))
    return " to " if rises and not re.search(r"[-+*/×=] ?[\d.,$€£]+\W*$", left) else " minus "


def _which(found: re.Match[str]) -> str:
    """Say "Jr." behind a name."""
    return with_stop(found, {"Jr": "junior", "Sr": "senior"}[found["which"]])


def _times(found: re.Match[str]) -> str | None:
    """Say "10x", where it is no unknown of an equation."""
    return None if re.search(r"(?:[+=*/^(]|(?<!\d)-) ?[\d.]+$", before(found)) else " times"


def _weather(found: re.Match[str]) -> str | None:
    """Say "72F", where it is no seat."""
    if re.search(r"(?i:\b(?:room|seat|gate|row|flat|unit|apartment|apt\.?|suite|block|exit)(?: is)? )$", before(found)):
        return None
    return f"{cardinal(found['number'])} degrees {'Fahrenheit' if found['scale'] == 'F' else 'Celsius'}"


def _telephone(found: re.Match[str]) -> str | None:
    """Say groups of figures one by one, with a plus if there are as many as a telephone number has."""
    few = sum(sign.isdigit() for sign in found.group()) < len("+123456")
    return None if few and found.group().startswith("+") else groups(found.group())


_MARKED: Final = re.compile(
    r"(?i:\b(?:scored|scores?|rated|rates?|rating|gave|gives?|got|gets?|grade)(?: (?:it|of|a|is|was))?:? )$"
)


def _out_of(found: re.Match[str]) -> str | None:
    """Say a mark: "9.5/10", "rated 4/5", "4/5 stars"."""
    told = _MARKED.search(before(found)) or re.match(r" (?:stars?|points?)\b", after(found))
    if not told and "." not in found["mark"]:
        return None
    return f"{cardinal(found['mark'])} out of {cardinal(found['best'])}"


def _alone(found: re.Match[str]) -> str:
    """Say a sign with nothing to its left: "<5" is less than five."""
    return f"{_OPERATORS[found['sign']].removeprefix('is ')} "


def _spaced(found: re.Match[str]) -> str:
    return " ".join(map(cardinal, re.split("[/x-]", found.group())))


def _between(sign: str) -> str:
    return f" {_OPERATORS[sign]} "


def _point_groups(found: re.Match[str]) -> str:
    if re.fullmatch(r"\d{1,3}(?:\.\d{3}){2,}", found.group()):
        return cardinal(found.group().replace(".", ""))
    return " point ".join(map(cardinal, found.group().split(".")))


_ID: Final = re.compile(
    r"(?i:\b(?:isbn|issn|id|order|account|ticket|tracking|reference|invoice|serial|case|confirmation|phone|number|flight)"
    r"(?: (?:number|code|id|no\.))?(?: is|:)? ?#?)$"
)
_SHORT_ID: Final = re.compile(
    r"(?i:\b(?:pin|code|password|passcode|extension|zip|zip code|call|dial|phone|area code|postcode|box"
    r"|(?:call|phone|reach|text) (?:me|us|him|her|them) (?:at|on))(?: is|:)? )$"
)


def _named_by_figures(found: re.Match[str]) -> str | None:
    """Say the number of an order, a telephone and the like digit by digit."""
    number, around = found.group(), before(found)
    if re.search(r"\b[A-Z]{2} $", around) and len(number) == len("90210"):
        return digits(number)
    least = 3 if _SHORT_ID.search(around) else 5 if _ID.search(around) else 16
    return digits(number) if len(number) >= least else None


def _short_phone(found: re.Match[str]) -> str | None:
    return groups(found.group()) if _CALLED.search(before(found)) else None


_CALLED: Final = re.compile(r"(?i:\b(?:call|dial|phone|number|tel|telephone|fax|text|extension)(?: is|:|\.)? )$")
_PHONE: Final = (
    r"(?:\+?\d{1,3}[-. ])?(?:\(\d{3}\) ?|\d{3}[-. ])\d{3}[-. ]\d{4}(?![-\w])",
    r"\+\d{1,3}(?:[ .-]?\(?\d{1,5}\)?){1,6}(?<=\d)(?![-\w])",
    r"(?:\(0\d{2,4}\)|0\d{2,4})[ -]\d{3,8}(?:[ -]\d{3,4})?(?![-\w])",
    r"\d{4}(?:[ -]\d{4}){3}(?![-\w])",
    r"1[38]00 \d{3} \d{3}(?![-\w])",
    r"(?:1[- ])?8(?:00|88|77|66)-[\d-]{7,9}(?<=\d)(?!\w)",
    r"\d+(?:-\d+){2,8}(?:-[xX]\b)?(?![-\w])(?! ?=)",
)
_UNDER: Final = r"(?P<over>\d{1,9})[/⁄](?P<under>\d{1,9})(?![\d/])(?!\.\d)"
_OF_PART: Final = r"(?: ?(?P<unit>tsp|tbsp|lbs?|oz|kg|km|cm|mi|ft|hrs?|min|gal|l|L|m|g)\b|(?P<inch>[\"″]))?"

_ADDRESS_WORDS, _ADDRESS_SIGNS = address_rules(
    AddressWords(" at ".strip(), "dot", "dash", "underscore", "plus", "hashtag", digits)
)
_QUANTITY_WORDS, _QUANTITY_SIGNS = quantity_rules()
_CALENDAR_WORDS, _CALENDAR_SIGNS = calendar_rules()

_WORDS: Final = (
    *_ADDRESS_WORDS,
    rule(
        rf"(?P<short>(?i:{any_of(_SHORT)}))\. ?(?=\d)",
        lambda found: f"{_SHORT[found['short'].lower()]} ",
    ),
    rule(rf"(?:{any_of(_SHORT_WORDS)})(?!\w)", lambda found: with_stop(found, _SHORT_WORDS[found.group()])),
    rule(rf"(?P<title>{any_of(_TITLES)})\.?(?= [A-Z])", lambda found: _TITLES[found["title"]]),
    rule(r"(?P<which>[JS]r)\.(?<=[a-z,] [JS]r\.)", _which),
    rule(r"(?:[Vv]ersion )?[vV]\.? ?(?=\d+(?:\.\d|\b))", "version "),
    rule(r"x(?<=[\"″'′] x)(?= \d)", " by "),
    rule(r"π", "pi"),
    rule(r"x(?<=\dx)(?=\d+(?![\d.]* ?=))", " by "),
    rule(r"x(?<=\dx)(?= (?:as|more|the|\w+er)\b|[.,;!?]|$)", _times),
    rule(r"x(?<=[\d) ]x)(?= ?[\d(])", " times "),
    *_CALENDAR_WORDS,
    *_QUANTITY_WORDS,
    rule(r"[IVXL]+\b", _roman),
    rule(r"[A-Z]{1,3}&[A-Z]{1,3}(?![A-Za-z])", lambda found: " and ".join(map(_letters, found.group().split("&")))),
    rule(r"[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}(?!\w)", _code),
    rule(r"(?P<base>[A-Za-z])(?=\^)", lambda found: found["base"]),
    rule(r"(?=[A-Za-z]{1,8}\d)[A-Za-z\d]{2,40}(?![^\W\d_])", _code),
    rule(r"(?P<name>[A-Za-z]+)-(?=\d)", lambda found: f"{found['name']} "),
)
_SIGNS: Final = (
    *_ADDRESS_SIGNS,
    rule(r"(?P<parts>\d{1,3}(?:\.\d{1,3}){3})(?::(?P<port>\d{1,5})|/(?P<mask>\d\d?))?(?!\d|\.\d)", _machine),
    *_CALENDAR_SIGNS,
    *(rule(rf"(?<![\w.,/])(?<!\d-){pattern}", _telephone) for pattern in _PHONE),
    rule(r"\d{3}-\d{4}(?![-\w])", _short_phone),
    rule(r"(?<![\d.])\d+(?:\.\d+){2,}(?![.,]\d)", _point_groups),
    rule(r"(?:(?P<same>\d\d)/(?P=same)|(?P<tens>\d0)-(?P=tens)|24[/x]7|9/11)(?![\w/-]|\.\d)", _spaced),
    rule(r"(?P<mark>\d{1,3}(?:\.\d+)?)/(?P<best>5|10|20|100)(?![\d/]|\.\d)(?! ?=)", _out_of),
    rule(rf"(?P<whole>\d{{1,3}})[ -]{_UNDER}{_OF_PART}", _mixed),
    rule(rf"(?<![\d./,]){_UNDER}{_OF_PART}", _part),
    rule(r"(?P<number>\d+(?:\.\d+)?)[eE](?P<power>[-+−]?\d+)(?![\w-])", _scientific),
    rule(r"(?:\^|\*\*)(?P<power>\{[-−]?\w+\}|\([-−]?\w+\)|[-−]?\d+|\w)", _power),
    rule(
        r"(?P<degrees>\d+(?:\.\d+)?) ?° ?(?:(?P<minutes>\d+(?:\.\d+)?)[′'’] ?)?"
        r"(?:(?P<seconds>\d+(?:\.\d+)?)(?:[″\"”]|'') ?)?(?P<where>[NSEW])?(?![\w])(?<!°)(?<!° )",
        _place,
    ),
    rule(r"(?P<feet>\d{1,2})['’′] ?(?P<inches>\d{1,2})(?:[\"”″]|''|(?!\w))", _feet),
    rule(r"(?P<feet>\d{1,3}) ?ft\.? ?(?P<inches>\d{1,2}) ?in\b\.?", _feet),
    rule(r"(?P<feet>\d+)(?P<inches>)[′'’](?=[ ,.;)]|$)", _feet),
    rule(r"(?P<inches>\d+(?:\.\d+)?)[\"″](?!\w)", _inches),
    rule(
        r"(?P<number>\d{1,3}(?:,000)+|[1-9]00)s(?= of\b)",
        lambda found: plural(cardinal(found["number"])).removeprefix("one "),
    ),
    rule(r"(?P<number>[1-9]\d\d)s\b", _model),
    *_QUANTITY_SIGNS,
    rule(r"(?P<number>\d{1,9})(?:st|nd|rd|th)\b", lambda found: ordinal(int(found["number"]))),
    rule(r"\d{3,}(?![\d.,]\d)", _named_by_figures),
    rule(r"(?:#|№ ?)(?=\d)", "number "),
    rule(r"§§? ?(?=\d)", "section "),
    rule(r"~(?<=\d~)(?=\d)", " to "),
    rule(r"~ ?(?=[\d$€£])", "about "),
    rule(r"[-–](?<=[snrt][tdh].)(?=\d+(?:st|nd|rd|th)\b)", " to "),
    rule(r"(?P<number>\d{2,3})(?P<scale>[FC])(?!\w)", _weather),
    rule(r"401\(k\)", "four oh one k"),
    rule(r"911(?= (?:call|operator|dispatch|emergency))", "nine one one"),
    rule(r"(?<=\w) ?/ ?(?=[\d(])|(?<=[\d)]) ?/ ?(?=\w)", _between("/")),
    rule(r"(?<=\d):(?=\d)", " to "),
    rule(r"(?<=[\d%°$€£¥₹])(?: ?[-–—] ?)(?=[$€£]?\.?\d)", _dash),
    rule(r"(?<=\d[A-Za-z])[-–—](?=[$€£]\d)|(?<=\d[CFmgkK])[-–—](?=\d)", " to "),
    rule(r"(?<=[mM.]) ?[-–—] ?(?=\d{1,2}(?::\d\d)? ?[aApP]\.?[mM])", " to "),
    rule(r"(?<=[\w)]) [-−–] (?=[\d($€£]|[a-z]\b)|(?<=\)) ?[-−] ?(?=[\d(])", _between("-")),
    rule(r"[-−](?=[$€£]?\.?\d)(?<![\w.)-][-−])", "minus "),
    rule(r",(?<=\d,)(?=\d)", ", "),
    rule(r"(?<![^\s(])(?<![\w)%] )(?P<sign>[<>≤≥≈]) ?(?=[$€£]?\d)", _alone),
    rule(r"(?<=[a-z]{3} )(?P<sign>[<>≤≥≈])(?=[$€£]?\d)", _alone),
    rule(
        rf"(?!(?<=[a-z]{{3}}) [<>≤≥≈][$€£]?\d)\s*(?!\+\d[\d ().-]{{7}})(?P<sign>{any_of(_SPACED_OUT)})\s*",
        lambda found: _between(found["sign"]),
    ),
    rule(r"\s*−\s*", _between("−")),
    rule(r"/(?<=\band/)(?=or\b)", " "),
    rule(r"/(?<=[a-z]/)(?=[a-z])", " or "),
    rule(r"\.(?=(?:NET|net)\b)", "dot "),
    rule(r"(?<!\w)&(?!\w)|(?<=\w)&(?=\w)", " and "),
    rule(r"\d[A-Za-z\d]{1,40}(?<=[A-Za-z\d][A-Z])(?![A-Za-z])", _code),
    rule(rf"(?<!\d)(?<!\d,)(?<![(]){AMOUNT}(?!,\d)", lambda found: cardinal(found.group())),
    rule(NUMBER, lambda found: cardinal(found.group())),
    rule(r"(?<!\w)\.\d+", lambda found: cardinal(found.group())),
)
_GRAMMAR: Final = ReadingGrammar(_WORDS, _SIGNS)
