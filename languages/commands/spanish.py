"""Plain requests to a robot in Spanish. Data only.

"A" and "hasta" tell where something goes, "en" where it is, "de" whence. "Y" is "and", so an axis is "i griega". What
says more than it seems is left out, so that it is asked about: "para" (stop, for), "por" (through), "antes", "carga"
(load, charge).
"""

from __future__ import annotations

import re
from typing import Final

from languages.language import CommandPart, CommandWords

_GO: Final = (
    *("ve", "vete", "ir", "ven", "venir", "vuelve", "volver", "regresa", "regresar", "conduce", "conducir", "muévete"),
    *("dirígete", "anda", "avanza"),
)
_CARRY: Final = (
    *("lleva", "llevar", "llévala", "llévalo", "llévalas", "llévalos", "transporta", "transportar", "entrega"),
    *("entregar", "entrégala", "entrégalo"),
)
_PICK: Final = (
    *("recoge", "recoger", "recógela", "recógelo", "coge", "coger", "cógela", "cógelo", "toma", "tómala", "tómalo"),
    *("levanta", "levántala", "levántalo"),
)
_DROP: Final = (
    *("deja", "dejar", "déjala", "déjalo", "déjalas", "déjalos", "pon", "poner", "ponla", "ponlo", "suelta"),
    *("suéltala",),
    *("suéltalo", "descarga", "descárgala", "descárgalo"),
)
_OBJECT: Final = (
    *("esto", "eso", "este", "esta", "caja", "cajas", "paquete", "paquetes", "la carga", "bulto", "cosa", "objeto"),
    *("algo",),
)
_SAID: Final = (
    *("por favor", "puedes", "podrías", "el", "la", "los", "las", "un", "una", "me", "ahora", "ya", "bueno", "vale"),
    *("hola", "oye", "robot", "otra vez", "de vuelta", "de nuevo", "rápido", "punto", "posición", "coordenadas"),
    *("metros", "durante", "unos"),
)
_AUDIENCE: Final = (
    *("invitados", "el robot", "visitantes", "niños", "todos", "gente", "público", "nuestros invitados", "cámara"),
)

COMMANDS: Final = CommandWords(
    phrases={
        **dict.fromkeys(_SAID, CommandPart.SAID),
        **dict.fromkeys(_AUDIENCE, CommandPart.AUDIENCE),
        **dict.fromkeys(_OBJECT, CommandPart.OBJECT),
        **dict.fromkeys(_GO, CommandPart.GO),
        **dict.fromkeys(_CARRY, CommandPart.CARRY),
        **dict.fromkeys(_PICK, CommandPart.PICK),
        **dict.fromkeys(_DROP, CommandPart.DROP),
        **dict.fromkeys(("espera", "esperar", "quédate", "quedarte", "aguarda"), CommandPart.WAIT),
        **dict.fromkeys(("y", "e"), CommandPart.AND),
        **dict.fromkeys(("luego", "después", "entonces"), CommandPart.NEXT),
        **dict.fromkeys(("primero", "en primer lugar"), CommandPart.FIRST),
        **dict.fromkeys(("por último", "finalmente"), CommandPart.LAST),
        **dict.fromkeys(("allí", "allá", "ahí"), CommandPart.THERE),
        **dict.fromkeys(("o", "u", "o bien"), CommandPart.OR),
        **dict.fromkeys(("aquí", "aquí mismo", "donde estás"), CommandPart.HERE),
        **dict.fromkeys(("de", "de la", "del", "desde", "desde la", "desde el"), CommandPart.FROM),
        **dict.fromkeys(("a", "a la", "al", "a los", "a las", "hasta", "hasta la", "hasta el"), CommandPart.TO),
        **dict.fromkeys(("hacia", "hacia la", "hacia el"), CommandPart.TO),
        **dict.fromkeys(("en", "en la", "en el"), CommandPart.AT),
        **dict.fromkeys(("haz", "da"), CommandPart.SHOW),
        **dict.fromkeys(("segundo", "segundos"), CommandPart.SECONDS),
        **dict.fromkeys(("x", "equis"), CommandPart.X),
        **dict.fromkeys(("i griega", "ye"), CommandPart.Y),
    },
    skills={
        **dict.fromkeys(("cárgate", "recárgate", "recarga la batería", "carga la batería"), "dock"),
        **dict.fromkeys(("saluda", "saludar", "saluda con la mano"), "wave"),
    },
    sounds_like={},
    places={"a casa": "casa", "a tu base": "base"},
    loaded=frozenset(word for word in (*_CARRY, *_PICK, *_DROP) if re.search(r"[áéíóú].*l[ao]s?$", word))
    | {"ponla", "ponlo"},
)
