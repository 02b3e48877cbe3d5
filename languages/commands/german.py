"""Plain requests to a robot in German. Data only.

Prepositions with their articles tell where something goes ("in die") from where it is ("in der"). What says more than
it seems is left out, so that it is asked about: "mit" ("nimm das mit in die Küche" carries), "nach" (after), "vor" (in
front of, before), "über", "durch", "lade" alone (to charge, to load).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from languages.language import CommandPart, CommandWords

if TYPE_CHECKING:
    from collections.abc import Iterable

_GO: Final = (
    *("fahr", "fahre", "fahren", "geh", "gehe", "gehen", "komm", "komme", "kommen", "lauf", "laufe", "laufen", "roll"),
    *("rolle", "rollen", "kehr", "kehre", "zurückfahren", "zurückgehen", "zurückkommen", "zurückkehren", "hinfahren"),
    *("beweg dich", "bewege dich", "begib dich", "stell dich", "stelle dich", "mach dich auf den weg", "weiterfahren"),
)
_CARRY: Final = (
    *("bring", "bringe", "bringen", "trag", "trage", "tragen", "liefer", "liefere", "liefern", "transportier"),
    *("transportiere", "transportieren", "schaff", "schaffe", "schaffen", "hinbringen", "rüberbringen"),
)
_PICK: Final = (
    *("hol", "hole", "holen", "abholen", "nimm", "nehmen", "aufnehmen", "heb", "hebe", "heben", "aufheben"),
    *("sammel", "sammle", "greif", "greife"),
)
_DROP: Final = (
    *("stell", "stelle", "stellen", "abstellen", "leg", "lege", "legen", "ablegen", "hinlegen", "hinstellen"),
    *("setz", "setze", "absetzen", "abladen", "entlade", "entladen"),
)
_TO: Final = (
    *("zu", "zu der", "zu dem", "zu den", "zum", "zur", "bis zu", "bis zum", "bis zur", "in die", "in den", "in das"),
    *("ins", "an die", "an den", "an das", "ans", "auf die", "auf den", "auf das", "aufs", "hin zu", "hin zum"),
    *("hin zur", "rüber zu", "rüber zum", "rüber zur"),
)
_AT: Final = (
    *("in der", "in dem", "im", "an der", "an dem", "am", "auf der", "auf dem", "bei", "bei der", "bei dem", "beim"),
)
_OBJECT: Final = (
    *("es", "ihn", "sie", "dies", "dieses", "diese", "diesen", "kiste", "kisten", "kasten", "karton", "box"),
    *("schachtel",),
    *("paket", "pakete", "päckchen", "ladung", "last", "ding", "sache", "gegenstand", "etwas"),
)
_SAID: Final = (
    *("bitte", "wenn du fertig bist", "kannst du", "könntest du", "würdest du", "du sollst", "du kannst", "mal"),
    *("doch", "jetzt", "einfach"),
    *("der", "die", "das", "den", "dem", "ein", "eine", "einen", "einem", "einer", "in", "auf", "ab", "an", "los"),
    *("zurück", "wieder", "hin", "rein", "hinein", "rüber", "hinüber", "schnell", "sofort", "gerne", "okay", "ok"),
    *("gut", "also", "hallo", "hey", "roboter", "punkt", "position", "koordinaten", "meter", "lang", "eben", "nun"),
)
_AUDIENCE: Final = (
    *("gästen", "gäste", "der roboter", "besuchern", "besucher", "kindern", "kinder", "leuten", "leute", "allen"),
    *("publikum",),
    *("unseren gästen", "unseren besuchern", "unsere gäste", "kamera"),
)


def _verbs(words: Iterable[str], part: CommandPart) -> dict[str, CommandPart]:
    """Give verbs, also as they are said to somebody who is not addressed as a friend: "fahren Sie"."""
    return {form: part for word in words for form in (word, *((f"{word} sie",) if word.endswith("en") else ()))}


COMMANDS: Final = CommandWords(
    phrases={
        **dict.fromkeys(_SAID, CommandPart.SAID),
        **dict.fromkeys(_AUDIENCE, CommandPart.AUDIENCE),
        **dict.fromkeys(_OBJECT, CommandPart.OBJECT),
        **_verbs(_GO, CommandPart.GO),
        **_verbs(_CARRY, CommandPart.CARRY),
        **_verbs(_PICK, CommandPart.PICK),
        **_verbs(_DROP, CommandPart.DROP),
        **_verbs(("warte", "warten", "wart", "bleib", "bleibe", "bleiben"), CommandPart.WAIT),
        **dict.fromkeys(("und", "sowie"), CommandPart.AND),
        **dict.fromkeys(
            ("dann", "danach", "anschließend", "nachher", "als nächstes", "im anschluss"), CommandPart.NEXT
        ),
        **dict.fromkeys(("zuerst", "erst", "zunächst", "als erstes"), CommandPart.FIRST),
        **dict.fromkeys(("zum schluss", "schließlich", "zuletzt"), CommandPart.LAST),
        **dict.fromkeys(("dort", "dorthin", "dahin", "dort drüben"), CommandPart.THERE),
        **dict.fromkeys(("oder", "entweder"), CommandPart.OR),
        **dict.fromkeys(("hier", "genau hier", "da wo du bist"), CommandPart.HERE),
        **dict.fromkeys(("von", "von der", "von dem", "vom", "aus", "aus der", "aus dem"), CommandPart.FROM),
        **dict.fromkeys(_TO, CommandPart.TO),
        **dict.fromkeys(_AT, CommandPart.AT),
        **dict.fromkeys(("zeig", "zeige", "grüß", "grüße", "mach", "mache"), CommandPart.SHOW),
        **dict.fromkeys(("sekunde", "sekunden"), CommandPart.SECONDS),
        **dict.fromkeys(("x", "x ist", "x gleich"), CommandPart.X),
        **dict.fromkeys(("y", "y ist", "y gleich", "ypsilon"), CommandPart.Y),
    },
    skills={
        **dict.fromkeys(("lade dich auf", "lad dich auf", "lade deinen akku", "lade deinen akku auf"), "dock"),
        **dict.fromkeys(("aufladen", "zum aufladen", "zum laden", "dock an", "docke an", "andocken"), "dock"),
        **dict.fromkeys(("wink", "winke", "winken", "zuwinken"), "wave"),
    },
    sounds_like={"für": 4.0},
    places={"nach hause": "zuhause", "heim": "zuhause"},
    loaded=frozenset({"abladen", "entladen", "entlade"}),
)
