"""German."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from languages.commands.german import COMMANDS
from languages.language import (
    AnswerWords,
    CalendarWords,
    CorrectionWords,
    Language,
    ListenerWords,
    NameRules,
    PlaceWords,
    PromptWording,
    ReplySayings,
    RequestWords,
    SentenceRules,
    StopWords,
    WorkingWords,
)
from languages.numbers import NumberWords
from languages.reading.german import read_aloud
from languages.sayings.german import SAYINGS

if TYPE_CHECKING:
    from collections.abc import Sequence

_UNITS: Final = {
    "null": 0, "eins": 1, "zwei": 2, "zwo": 2, "drei": 3, "vier": 4, "fünf": 5, "sechs": 6, "sieben": 7, "acht": 8,
    "neun": 9, "zehn": 10, "elf": 11, "zwölf": 12, "dreizehn": 13, "vierzehn": 14, "fünfzehn": 15, "sechzehn": 16,
    "siebzehn": 17, "achtzehn": 18, "neunzehn": 19,
}  # fmt: skip
_TENS: Final = {
    "zwanzig": 20, "dreißig": 30, "dreissig": 30, "vierzig": 40, "fünfzig": 50, "sechzig": 60, "siebzig": 70,
    "achtzig": 80, "neunzig": 90,
}  # fmt: skip
_COMPOUND: Final = {
    f"{'ein' if unit == 'eins' else unit}und{tens}": value + ten
    for unit, value in _UNITS.items()
    for tens, ten in _TENS.items()
    if 0 < value < 10
}
_PLACES_IN_ORDER: Final = {
    "erst": 1, "zweit": 2, "dritt": 3, "siebt": 7, "acht": 8,
    **{f"{word}t": value for word, value in _UNITS.items() if value not in {0, 1, 2, 3, 7, 8}},
    **{f"{word}st": value for word, value in {**_TENS, **_COMPOUND}.items()},
}  # fmt: skip
_ORDINALS: Final = {
    f"{stem}{ending}": value for stem, value in _PLACES_IN_ORDER.items() for ending in ("e", "er", "en", "es", "em")
}
_SCALES: Final = {
    "hundert": 100, "tausend": 1_000, "million": 1_000_000, "millionen": 1_000_000, "milliarde": 1_000_000_000,
    "milliarden": 1_000_000_000,
}  # fmt: skip
_VALUES: Final = {**_ORDINALS, **_COMPOUND, **_TENS, **_UNITS}
_PARTS: Final = re.compile("(hundert|tausend)")


def _split(word: str) -> Sequence[str]:
    """Take "zweitausenddreihundertvier" apart; what holds anything but numbers stays whole."""
    parts = [part.removeprefix("und") for part in _PARTS.split(word) if part]
    # "einhundert" is "hundert": alone, "ein" is an article.
    parts = [part for part in parts if part and part != "ein"] if len(parts) > 1 else parts
    return parts if len(parts) > 1 and all(part in _VALUES or part in _SCALES for part in parts) else (word,)


_NUMBERS: Final = NumberWords(
    group=".",
    point=",",
    values=_VALUES,
    scales={**_SCALES, "einhundert": 100, "eintausend": 1_000},
    joins=frozenset({"und"}),
    points=frozenset({"komma"}),
    minus=frozenset({"minus"}),
    article={"ein": 1, "eine": 1, "einen": 1},
    multiples={"dutzend": 12.0, "anderthalb": 1.5, "eineinhalb": 1.5},
    loose=True,
    split=_split,
)
_MONTHS: Final = (
    "januar", "februar", "märz", "april", "mai", "juni", "juli", "august", "september", "oktober", "november",
    "dezember",
)  # fmt: skip
_MONTH: Final = "|".join(month.capitalize() for month in _MONTHS)
_SENTENCES: Final = SentenceRules(
    never_last=frozenset((
        "dr", "prof", "hr", "fr", "nr", "ca", "bzw", "z.b", "d.h", "u.a", "z.t", "vgl", "inkl", "evtl", "ggf", "str",
        "st", "abs", "art", "bd", "mind",
    )),
    maybe_last=frozenset({"usw", "etc", "uhr", "gmbh", "jr"}),
    letters=frozenset(),
    end=re.compile(
        r"(?<![0-9])(?<!\b[A-Za-zÄÖÜäöü])(?<!\bz\.B)(?<!\bd\.h)(?<!\bu\.a)(?<!\b(?:Dr|Hr|Fr|Nr|ca|St))"
        r"(?<!\b(?:bzw|vgl|Str))(?<!\bProf)[.!?][\"“')\]*]*(?=\s)"
    ),
    numbered_end=re.compile(rf"(?<=[0-9])[.!?](?=\s+(?!(?:{_MONTH})\b)[A-ZÄÖÜ])"),
    unfinished=frozenset((
        "der", "die", "das", "den", "dem", "des", "ein", "eine", "einen", "einem", "einer", "mein", "meine", "dein",
        "deine", "sein", "ihr", "unser", "dieser", "diese", "dieses", "von", "in", "im", "an", "am", "auf", "zu", "zum",
        "zur", "für", "mit", "aus", "bei", "über", "unter", "nach", "ohne", "zwischen", "und", "oder", "aber", "weil",
        "wenn", "dass", "ob", "während", "als", "wie", "ist", "sind", "war", "äh", "ähm", "also", "halt",
    )),
    leading=frozenset((
        "und", "also", "aber", "oder", "weil", "na", "dann", "wenn", "falls", "während", "obwohl", "da", "seit",
        "nachdem", "bevor", "bis", "sobald", "ob", "als", "angenommen",
    )),
    dotted=frozenset(_MONTHS),
)  # fmt: skip
_NAMES: Final = NameRules(
    capitals=False,
    titles=frozenset({"herr", "herrn", "frau", "doktor", "professor"}),
    calendar=frozenset((
        "montag", "dienstag", "mittwoch", "donnerstag", "freitag", "samstag", "sonnabend", "sonntag", *_MONTHS,
    )),
    free=frozenset({"ok", "okay"}),
    possessive="'s",
)  # fmt: skip
_CALENDAR: Final = CalendarWords(
    weekdays=("Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"),
    months=(
        "Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November",
        "Dezember",
    ),
    halves=("", ""),
    hours=frozenset({"stunde", "stunden", "std", "h"}),
    minutes=frozenset({"minute", "minuten", "min"}),
    now="Heute ist {weekday}, der {day}. {month} {year}, es ist {hour}:{minute} Uhr.",
)  # fmt: skip
_STOPS: Final = StopWords(
    phrases=("stopp", "stop", "halt", "anhalten", "halt an", "bleib stehen", "stehen bleiben", "sei still", "ruhe"),
    alone=frozenset({"ruhe"}),
    polite=frozenset((
        "bitte", "jetzt", "mal", "doch", "sofort", "kannst", "könntest", "du", "nein", "hey", "ok", "okay", "warte",
    )),
    negated=frozenset({"nicht", "nie", "niemals", "kein", "keine", "keinen", "ohne"}),
    naming=frozenset((
        "der", "die", "das", "den", "dem", "des", "ein", "eine", "einen", "einem", "einer", "nächste", "nächster",
        "nächsten", "letzte", "letzter", "letzten", "jeder", "jeden", "zum", "beim", "vom",
    )),
    telling=frozenset((
        "ich", "er", "sie", "es", "wir", "ist", "sind", "war", "waren", "bin", "geht", "hatte", "wird", "kann",
    )),
)  # fmt: skip
_LISTENER: Final = ListenerWords(
    backchannels=(
        *("mm", "mhm", "hm", "hmm", "aha", "ah", "oh", "ach", "äh", "ähm", "ja", "jaja", "jo", "jep", "ok", "okay"),
        *("genau", "klar", "na klar", "stimmt", "richtig", "sicher", "eben", "verstehe", "ich verstehe", "ach so"),
        *("achso", "alles klar", "gut", "na gut", "sehr gut", "schön", "super", "prima", "interessant"),
    ),
    asking=frozenset((
        *("was", "warum", "wieso", "weshalb", "wer", "wen", "wem", "wessen", "wann", "wo", "wohin", "woher", "wie"),
        *("welche", "welcher", "welches", "wieviel", "stopp", "stop", "halt", "warte", "warten", "moment", "sekunde"),
        *("nein", "nee", "nicht", "kein", "keine", "aber", "genug", "abbrechen", "entschuldigung", "bitte", "hallo"),
        *("hilfe", "nochmal", "noch", "wiederhole", "lauter", "leiser", "langsamer", "ruhe", "zurück"),
    )),
    phantoms=frozenset((
        "vielen dank", "danke", "tschüss", "bis zum nächsten mal", "untertitel der amaraorgcommunity",
        "untertitelung des zdf 2020",
    )),
)  # fmt: skip
_ANSWERS: Final = AnswerWords(
    yes=frozenset((
        "ja", "jawohl", "jo", "jep", "jap", "genau", "klar", "na klar", "sicher", "aber sicher", "aber ja",
        "natürlich", "selbstverständlich", "gern", "gerne", "aber gern", "aber gerne", "mach das", "mach es", "tu das",
        "tu es", "mach nur", "nur zu", "richtig", "stimmt", "das stimmt", "das ist richtig", "so ist es", "bestätigt",
        "einverstanden", "in ordnung", "auf jeden fall", "unbedingt",
    )),
    beside_yes=frozenset((
        "mach", "tu", "mach mal", "gut", "das soll er", "soll er", "er soll", "das darf er", "darf er", "er darf",
        "kann er", "er kann", "das sollst du", "du darfst", "du kannst", "darfst du", "kannst du", "doch", "los",
    )),
    no=frozenset((
        "nein", "nee", "nö", "nicht da", "nicht dort", "nicht dahin", "nicht dorthin", "da nicht", "dort nicht",
        "dahin nicht", "dorthin nicht", "nicht das", "das nicht", "falsch", "das ist falsch", "stimmt nicht",
        "das stimmt nicht", "das ist nicht richtig",
    )),
    withdrawn=frozenset((
        "warte", "warte mal", "warten sie", "moment", "moment mal", "einen moment", "abbrechen", "brich ab",
        "vergiss es", "lass das", "lass es", "jetzt nicht", "nicht jetzt", "noch nicht", "nicht", "gar nicht",
        "auf keinen fall", "auf gar keinen fall", "keinesfalls", "keineswegs", "bloss nicht", "lieber nicht",
        "besser nicht", "nein danke", "natürlich nicht", "sicher nicht", "ganz sicher nicht", "mach das nicht",
        "mach es nicht", "tu das nicht", "tu es nicht",
    )),
    resume=frozenset((
        "weiter", "mach weiter", "fahr weiter", "weiterfahren", "weitermachen", "fortsetzen", "du darfst weiterfahren",
        "du kannst weiterfahren", "du darfst fahren", "weiter gehts",
    )),
    amends=frozenset((
        "ich", "meine", "meinte", "sagte", "habe", "gesagt", "in", "die", "der", "das", "den", "zur", "zum", "ins",
        "ist", "war", "ja", "nein", "doch", "sondern",
    )),
    polite=frozenset((
        "bitte", "danke", "gut", "also", "roboter", "jetzt", "ok", "okay", "danke schön", "vielen dank", "oh", "äh",
        "ähm",
    )),
)  # fmt: skip
_PLACES: Final = PlaceWords(
    before=frozenset((
        "zu", "zum", "zur", "in", "ins", "im", "an", "ans", "am", "auf", "von", "vom", "aus", "bei", "beim", "nach",
        "über", "durch", "der", "die", "das", "den", "dem", "geh", "gehe", "fahr", "fahre", "komm", "zurück",
    )),
    after=frozenset((
        "und", "dann", "bitte", "jetzt", "zuerst", "danach", "wieder", "vor", "nach", "für", "zurück", "fahren",
        "gehen", "bringen", "holen",
    )),
    calls=frozenset({"hallo", "hey", "hi", "also", "oh", "ah", "so", "oder", "du", "gut", "hier"}),
    there=frozenset({"dort", "dorthin", "dahin"}),
    there_is=frozenset({"ist", "sind", "war", "waren", "gibt", "drüben"}),
    over_there=frozenset({"ist", "sind", "gibt"}),
    sounds=(
        *(("sch", "S"), ("ch", "C"), ("tz|z", "ts"), ("ph|v", "f"), ("ck|q", "k"), ("dt|th", "t"), ("w", "v")),
        *((r"(?<=[aeiouäöü])h", ""), ("c", "k"), ("x", "ks"), (r"d$", "t"), (r"b$", "p"), (r"g$", "k")),
        *(("[eiyäöü]+", "E"), ("[aou]+", "O"), (r"(.)\1+", r"\1")),
    ),
    one="{}",
    inside="bei {}",
    meant="Meinst du {}?",
    where="Wohin genau: {}?",
    both=" und ",
    either=" oder ",
)  # fmt: skip
_REPLIES: Final = ReplySayings(
    fillers=("Also,", "Mal sehen.", "Das rechne ich kurz aus.", "Moment noch, ich bin gleich so weit."),
    statuses=(
        "Meine Antwort ist noch nicht fertig.",
        "Das dauert länger als sonst.",
        "Ich sage sie, sobald ich sie habe.",
        "Ich bin noch da und noch dabei.",
    ),
    elapsed="Das sind jetzt etwa {} Sekunden.",
    repair="Entschuldigung, das war falsch.",
    doubt="Ganz sicher bin ich mir da aber nicht.",
    no_answer="Tut mir leid, das konnte ich nicht herausfinden.",
    acted="Ich bin dabei.",
    declined="Tut mir leid, das kann ich nicht.",
    hello="Hallo.",
    go_on="Sprich weiter.",
)
_PROMPTS: Final = PromptWording(
    system=(
        "Du bist ein hilfsbereiter Sprachassistent. Du sprichst Deutsch, in kurzen, einfachen Sätzen, ohne Listen, "
        "Zeichen oder Formatierung."
    ),
    identity=(
        "Du bist Descant, ein KI-Sprachassistent, kein Mensch, vom Projekt Descant gemacht und von keiner Firma. "
        "Du beantwortest Fragen, rechnest und hilfst beim Planen. Du sprichst Deutsch."
    ),
    limits=(
        "Du kannst mich nicht sehen und weißt von mir nur, was ich dir gesagt habe; wo das offen lässt, was ich meine, "
        "frag nach."
    ),
    think_request=(
        "\n(Rechne es zuerst für dich aus. Schreibe eine kurze Rechnung pro Zeile, sonst nichts. "
        "Schließe mit der Antwort.)"
    ),
    work_open="Rechnung, eine kurze Rechnung pro Zeile:\n",
    resume_open="Jetzt wurde mir noch etwas gesagt. Damit, eine kurze Rechnung pro Zeile:\n",
    notes_request=(
        "\n(Denk es zuerst für dich durch, Schritt für Schritt, in wenigen kurzen Sätzen. Schließe mit deiner Antwort.)"
    ),
    notes_open="Ich denke Schritt für Schritt.",
    notes_resume_open="Gerade wurde mir noch etwas gesagt. Ich denke weiter.",
    answer_request="\n(Antworte sofort auf Deutsch, in einem kurzen Satz.)",
    step_request="Lies mir den letzten fertigen Schritt oben auf Deutsch vor, in einfachen Worten.",
    result_request="Sag mir jetzt deine endgültige Antwort auf Deutsch, in einem kurzen Satz.",
    # Yes and no stay English: "Nein" is no single token. Small talk and facts give 0.3 to 2.4, problems 2.3 to 3.9, the
    # least of them with two numbers.
    need_question=("\n\n(Bevor du antwortest: Musst du dafür etwas ausrechnen? Antworte nur mit yes oder no.)"),
    need_bias=2.5,
    need_of_numbers=0.45,
    need_bias_with_tools=1.95,
    # Nobody has measured it in this language: what is no sum is answered at once.
    kind_question="",
    kind_bias=0.0,
    kind_clear=0.0,
    reasoned=(),
    told=(),
    force_answer="\nAntwort:",
    yes=("Yes", "yes", " Yes", " yes"),
    no=("No", "no", " No", " no"),
    yes_bias=0.0,
    act_request="Jetzt tu, worum ich gebeten habe.",
    acted_request=(
        "Das beginnst du jetzt, noch nichts davon ist fertig:\n{calls}\n"
        "Sag mir auf Deutsch in einem kurzen Satz, was du tust. Beginne mit: Ich"
    ),
    note_request="\n(Sag mir diese Neuigkeit auf Deutsch, in einem kurzen Satz.)",
    meant="(Also: {})",
    found_request="Sag mir in einem kurzen Satz, mit eigenen Worten, was du bisher herausgefunden hast.",
)
_CORRECTIONS: Final = CorrectionWords(
    negated=re.compile(r"\b(?:nicht|anstatt|statt|und nicht)\s+", re.IGNORECASE),
    adds=re.compile(r"\b(?:noch|mehr|weitere|weiteren|zusätzlich|zusätzliche|außerdem|dazu)\b", re.IGNORECASE),
    says_nothing=frozenset((
        "der", "die", "das", "den", "dem", "des", "ein", "eine", "einen", "einem", "einer", "von", "in", "im", "an",
        "am", "auf", "zu", "zum", "zur", "für", "mit", "oder", "aber", "ist", "sind", "war", "waren", "es", "er", "sie",
        "ich", "du", "wir", "ihr", "mein", "sein", "dieser", "diese", "dieses", "nein", "nicht", "entschuldigung",
        "moment", "eigentlich", "oh", "meine", "meinte", "sagte", "sage", "sag", "mach", "über", "aus", "bei", "eins",
        "wie", "viel", "viele", "was", "hat", "haben", "hatte", "so", "wenn", "nur", "jetzt", "stattdessen", "doch",
        "sondern", "sorry", "je", "pro", "mir", "dir", "mich", "dich", "danke", "bitte", "hallo", "kannst", "geht",
        "und", "welche", "wer", "wo", "warum",
    )),
    joins=frozenset({"und", "dann"}),
    endings=re.compile(r"(?:en|er|es|e|n|s)$"),
    money=((re.compile(r"(\d[\d.]*(?:,\d+)?) ?€"), r"\1 euro"), (re.compile(r"€ ?(\d[\d.]*(?:,\d+)?)"), r"\1 euro")),
    result=re.compile(
        r"(?:=|\b(?:ist|sind|war|waren|ergibt|macht|beträgt|bleiben|kostet|kosten)\b)"
        r"(?!.*(?:=|\b(?:ist|sind|war|ergibt|beträgt)\b))"
    ),
)  # fmt: skip
_WORKING: Final = WorkingWords(
    list_mark=re.compile(r"^\W*(?:schritt\s+)?\d{1,2}[.):]\s*", re.IGNORECASE),
    numbered=re.compile(r"^\W*(?:schritt\s+)?\d{1,2}[.):]\s+", re.IGNORECASE),
    announces=re.compile(
        r"^\W*(?:(?:zuerst|dann|jetzt|nun|danach|schließlich|als nächstes|wir|ich|müssen|muss|werden|lass uns),?\s+)*"
        r"(?:berechne|rechne|addiere|multipliziere|subtrahiere|dividiere|teile|bestimme|ermittle|finde|zähle|"
        r"vergleiche|prüfe|überlege|betrachte|nimm)\w*\b|"
        r"^[^\d=]*\b(?:berechnen|addieren|multiplizieren|subtrahieren|dividieren|bestimmen|ermitteln|finden|zählen|"
        r"vergleichen|prüfen|umrechnen)\W*$",
        re.IGNORECASE,
    ),
    answer=re.compile(
        r"^(?:(?:die|das)\s+)?(?:endgültige\s+)?(?:antwort|ergebnis|endergebnis|lösung)\s*(?::|=|ist\b|lautet\b)\s*",
        re.IGNORECASE,
    ),
    answer_in=re.compile(r"\b(?:antwort|ergebnis|lösung)\s*(?:ist\b|lautet\b|:|=)", re.IGNORECASE),
    closes=re.compile(r"^(?:also|somit|daher|folglich|dann|jetzt|nun|schließlich|damit),?\s+", re.IGNORECASE),
    doubt=re.compile(
        r"^\W*(?:(?:moment|nein|oh|entschuldigung|eigentlich|korrektur|hm|hmm|warte)\b[,:.!]*\s*)+", re.IGNORECASE
    ),
    claim=re.compile(r"\b(?:antwort|ergebnis|endergebnis|lösung|fazit|endgültig\w*)\b", re.IGNORECASE),
    steps=re.compile(r"\bschritte?n?s?\b", re.IGNORECASE),
    signs=(
        (re.compile(r"(?<=[\w)%°€])\s*[*×·]\s*"), " mal "),
        (re.compile(r"(?<=\d)\s+x\s+(?=\d)"), " mal "),
        (re.compile(r"(?<=[^\W\d_])/(?=[^\W\d_])"), " pro "),
        (re.compile(r"(?<=[\w)%°€])\s*[/÷]\s*"), " geteilt durch "),
        (re.compile(r"(?<=\d)\s+:\s+(?=\d)"), " geteilt durch "),
        (re.compile(r"(?<=[\w)%°€])\s*\+\s*"), " plus "),
        (re.compile(r"(?<=[\w)%°€])\s+[-−–]\s*|(?<=\d)[-−–](?=\d)"), " minus "),
        (re.compile(r"(?:(?<=\s)|^)[-−–](?=\w)"), "minus "),
    ),
    operations=frozenset({"mal", "plus", "minus", "geteilt"}),
    either_way=frozenset({"mal", "plus"}),
    verb=" ist ",
    the_answer="Die Antwort ist {}",
    called=re.compile(r"Die Antwort ist ((?:(?!\bist\b).)+)\."),
    plural=re.compile(r"(?:en|n|e|s)$"),
    quantity=re.compile(
        r"(?:minus |etwa |ungefähr )?(?!.*\b(?:plus|minus|mal|geteilt)\b)[$€£]?[\d.,]*\d+ ?(?:%|°|€|\$)?"
        r"(?: [a-zäöüß0-9]+){0,6}",
        re.IGNORECASE,
    ),
)
_REQUESTS: Final = RequestWords(
    negated=re.compile(r"\b(nicht|nie|niemals|kein\w*|ohne|außer|statt|anstatt)\b", re.IGNORECASE),
    turns=re.compile(
        r"\b(bevor|vor|nachdem|danach|davor|bis|zuerst|zuletzt|schließlich|über|durch|vorbei|von|aus|sobald)\b",
        re.IGNORECASE,
    ),
    equals=r"\s*(?:ist|gleich|=|:|-)?\s*(\d+(?:[.,]\d+)?)",
    spelled=re.compile(
        r"\b((?:\w*nummer|Code|Konto|Kennung|PIN) +(?:(?:ist|lautet) +)?)(\d(?:(?:, ?|-| )\d){3,})(?!\d|[,.-] ?\d)",
        re.IGNORECASE,
    ),
)

LANGUAGE: Final = Language(
    code="de",
    name="German",
    own_name="Deutsch",
    read_aloud=read_aloud,
    numbers=_NUMBERS,
    sentences=_SENTENCES,
    names=_NAMES,
    calendar=_CALENDAR,
    stops=_STOPS,
    listener=_LISTENER,
    answers=_ANSWERS,
    places=_PLACES,
    replies=_REPLIES,
    prompts=_PROMPTS,
    corrections=_CORRECTIONS,
    working=_WORKING,
    requests=_REQUESTS,
    robot=SAYINGS,
    commands=COMMANDS,
)
