"""Plain requests in German and Spanish. The sentences were written before the tables of words."""

from __future__ import annotations

import pytest

from agent.robot.reading import Reading, read
from languages.known import language_of
from tests.agent.standing_robot import standing_robot

ROBOT = standing_robot()
PLACES = {
    "de": ("küche", "halle", "schreibtisch", "tür", "zuhause"),
    "es": ("cocina", "sala", "escritorio", "puerta", "casa"),
}
GO, WAIT, PICK, DROP = "go_to", "wait", "pick", "drop"

GERMAN = [
    ("Fahr in die Küche.", [(GO, "küche")]),
    ("Fahr bitte zur Tür.", [(GO, "tür")]),
    ("Kannst du bitte in die Halle fahren?", [(GO, "halle")]),
    ("Könntest du mal zum Schreibtisch kommen?", [(GO, "schreibtisch")]),
    ("Geh zuerst in die Küche und dann in die Halle.", [(GO, "küche"), (GO, "halle")]),
    ("Fahr erst zur Tür, danach zum Schreibtisch.", [(GO, "tür"), (GO, "schreibtisch")]),
    ("Zur Küche, bitte!", [(GO, "küche")]),
    ("Komm zurück nach Hause.", [(GO, "zuhause")]),
    ("Fahr in die Halle und komm dann nach Hause.", [(GO, "halle"), (GO, "zuhause")]),
    ("Begib dich zum Schreibtisch.", [(GO, "schreibtisch")]),
    ("Beweg dich zur Tür und wink.", [(GO, "tür"), ("wave",)]),
    ("Wink den Gästen zu.", [("wave",)]),
    ("Winke bitte.", [("wave",)]),
    ("Fahr in die Küche und winke dort den Kindern.", [(GO, "küche"), ("wave",)]),
    ("Warte hier fünf Sekunden.", [(WAIT, "here", 5.0)]),
    ("Warte 10 Sekunden in der Halle.", [(WAIT, "halle", 10.0)]),
    (
        "Fahr zur Tür, warte dort vier Sekunden und komm dann zurück nach Hause.",
        [(GO, "tür"), (WAIT, "tür", 4.0), (GO, "zuhause")],
    ),
    ("Bleib bitte drei Sekunden lang am Schreibtisch.", [(WAIT, "schreibtisch", 3.0)]),
    ("Warte 2,5 Sekunden an der Tür.", [(WAIT, "tür", 2.5)]),
    ("Warte fünfundzwanzig Sekunden.", [(WAIT, "here", 25.0)]),
    ("Nimm die Kiste auf.", [(PICK, "here")]),
    ("Hol das Paket in der Küche ab.", [(PICK, "küche")]),
    ("Heb die Kiste hier auf und stell sie in der Halle ab.", [(PICK, "here"), (DROP, "halle")]),
    ("Bring die Kiste in die Küche.", [(PICK, "here"), (DROP, "küche")]),
    ("Bring das Paket vom Schreibtisch zur Tür.", [(PICK, "schreibtisch"), (DROP, "tür")]),
    ("Hol die Kiste aus der Küche und bring sie in die Halle.", [(PICK, "küche"), (DROP, "halle")]),
    ("Trag diese Kiste zum Schreibtisch und stell sie dort ab.", [(PICK, "here"), (DROP, "schreibtisch")]),
    ("Fahr nach Hause und lade dich auf.", [(GO, "zuhause"), ("dock", "zuhause")]),
    ("Fahr nach Hause und dock an.", [(GO, "zuhause"), ("dock", "zuhause")]),
    ("Fahr zu x drei, y zwei.", [("go_to_pose", 3.0, 2.0)]),
    ("Fahr zum Punkt x 4 und y 1,5.", [("go_to_pose", 4.0, 1.5)]),
    ("Leg das Paket in der Küche ab.", [(DROP, "küche")]),
    ("Könntest du die Kiste in die Halle bringen?", [(PICK, "here"), (DROP, "halle")]),
    (
        "Nimm das Paket am Schreibtisch auf und bring es danach in die Küche.",
        [(PICK, "schreibtisch"), (DROP, "küche")],
    ),
    ("Geh in die Küche, hol dort die Kiste ab und bring sie zur Tür.", [(GO, "küche"), (PICK, "küche"), (DROP, "tür")]),
    ("Nimm die Kiste auf dann fahr in die Halle.", [(PICK, "here"), (GO, "halle")]),
]
GERMAN_OPEN = [
    *("Fahr in den Garten.", "Fahr in die Küche oder in die Halle.", "Fahr nicht in die Küche.", "Fahr dorthin."),
    *("Warte eine Weile in der Halle.", "Warte in der Halle.", "Warte eine Sekunde.", "Warte in die Halle 5 Sekunden."),
    *("Flieg aufs Dach.", "Öffne das Fenster in der Küche.", "Bring es zurück.", "Nimm das mit in die Küche."),
    *("Hol das Paket in die Küche.", "Fahr in der Halle zum Schreibtisch.", "Fahr in der Halle."),
    *("Fahr in die Halle, aber nur wenn die Tür offen ist.", "Ist die Küche aufgeräumt?", "Ich möchte in die Küche."),
    *("Bevor du in die Halle fährst, fahr zum Schreibtisch.", "Fahr über die Halle in die Küche."),
    *("Komm aus der Küche.", "Lade die Kiste in der Halle.", "Die Gäste kommen in die Küche.", "Fahr zu x drei."),
    *("Stell die Kiste vom Schreibtisch in die Halle.", "Nach der Küche fahr in die Halle.", "Wir fahren zur Tür."),
    *("Fahr in vier Sekunden in die Küche.", "Keine Kisten in die Küche bringen.", "Geh weg von der Tür."),
    *("Fahr in die Küche und in den Keller.", "Nimm sie dann in der Halle fünf Sekunden warten."),
    *("Fahr zurück.", "Bring die Kiste in der Küche in die Halle.", "Im Lager und in der Halle.", "Wo ist die Küche?"),
    *("Fahr zu x 3, y 2, 5.", "Warte für Sekunden.", "Halt.", "Das Paket in der Küche.", "Heb in die Küche auf."),
    *("Nimm die Kiste dann in die Halle.", "Wink dann in der Halle warten.", "Nimm sie dann in der Halle warten."),
]  # fmt: skip
SPANISH = [
    ("Ve a la cocina.", [(GO, "cocina")]),
    ("Por favor, ve a la puerta.", [(GO, "puerta")]),
    ("¿Puedes ir a la sala?", [(GO, "sala")]),
    ("¿Podrías venir al escritorio?", [(GO, "escritorio")]),
    ("Ve primero a la cocina y luego a la sala.", [(GO, "cocina"), (GO, "sala")]),
    ("Conduce hasta la puerta.", [(GO, "puerta")]),
    ("A la cocina, por favor.", [(GO, "cocina")]),
    ("Vuelve a casa.", [(GO, "casa")]),
    ("Ve a la sala y vuelve a casa.", [(GO, "sala"), (GO, "casa")]),
    ("Dirígete hacia el escritorio.", [(GO, "escritorio")]),
    ("Muévete a la puerta y saluda.", [(GO, "puerta"), ("wave",)]),
    ("Saluda a los invitados.", [("wave",)]),
    ("Saluda, por favor.", [("wave",)]),
    ("Ve a la cocina y saluda allí.", [(GO, "cocina"), ("wave",)]),
    ("Espera aquí cinco segundos.", [(WAIT, "here", 5.0)]),
    ("Espera diez segundos en la sala.", [(WAIT, "sala", 10.0)]),
    (
        "Ve a la puerta, espera allí cuatro segundos y vuelve a casa.",
        [(GO, "puerta"), (WAIT, "puerta", 4.0), (GO, "casa")],
    ),
    ("Quédate tres segundos en el escritorio.", [(WAIT, "escritorio", 3.0)]),
    ("Espera durante 2,5 segundos en la puerta.", [(WAIT, "puerta", 2.5)]),
    ("Recoge la caja.", [(PICK, "here")]),
    ("Recoge el paquete en la cocina.", [(PICK, "cocina")]),
    ("Recoge el paquete de la cocina.", [(PICK, "cocina")]),
    ("Coge la caja aquí y déjala en la sala.", [(PICK, "here"), (DROP, "sala")]),
    ("Lleva la caja a la cocina.", [(PICK, "here"), (DROP, "cocina")]),
    ("Lleva el paquete del escritorio a la puerta.", [(PICK, "escritorio"), (DROP, "puerta")]),
    ("Recoge la caja en la cocina y llévala a la sala.", [(PICK, "cocina"), (DROP, "sala")]),
    ("Lleva esta caja al escritorio y déjala allí.", [(PICK, "here"), (DROP, "escritorio")]),
    ("Vuelve a casa y cárgate.", [(GO, "casa"), ("dock", "casa")]),
    ("Ve al punto equis tres, i griega dos.", [("go_to_pose", 3.0, 2.0)]),
    ("Deja el paquete en la cocina.", [(DROP, "cocina")]),
    ("¿Puedes llevar la caja a la sala?", [(PICK, "here"), (DROP, "sala")]),
    ("Coge el paquete del escritorio y llévalo a la cocina.", [(PICK, "escritorio"), (DROP, "cocina")]),
]
SPANISH_OPEN = [
    *("Ve al jardín.", "Ve a la cocina o a la sala.", "No vayas a la cocina.", "Ve allí.", "Espera en la sala."),
    *("Espera un rato en la sala.", "Espera un segundo.", "Vuela al tejado.", "Abre la ventana de la cocina."),
    *("Tráelo de vuelta.", "Ve a la sala, pero solo si la puerta está abierta.", "¿Está limpia la cocina?"),
    *("Quiero ir a la cocina.", "Antes de ir a la sala, ve al escritorio.", "Ve por la sala a la cocina."),
    *("Sal de la cocina.", "Los invitados vienen a la cocina.", "Nada de cajas en la cocina.", "Deja la cocina."),
    *("Deja de saludar.", "Ve en la sala al escritorio.", "Ve a la puerta de la cocina.", "Ve a x 3, y 2."),
    *("Después de la cocina ve a la sala.", "No lleves la caja a la cocina.", "Recoge la caja a la cocina."),
    *("Ve a la cocina en cuatro segundos.", "Carga la caja en la sala.", "¿Dónde está la cocina?", "Para."),
    *("Ve a la cocina y al sótano.", "Vamos a la cocina.", "Lleva la caja.", "Espera a la sala cinco segundos."),
]  # fmt: skip


def reading(text: str, code: str) -> Reading:
    return read(text, ROBOT.skills, PLACES[code], language_of(code))


@pytest.mark.parametrize(
    ("code", "text", "asked"),
    [(code, *pair) for code, pairs in (("de", GERMAN), ("es", SPANISH)) for pair in pairs],
)
def test_a_plain_request_is_read_whole(code: str, text: str, asked: list[tuple[object, ...]]) -> None:
    read = reading(text, code)
    assert [(step.skill, *step.arguments.values()) for step in read.steps] == asked
    assert read.whole


@pytest.mark.parametrize(
    ("code", "text"), [(code, text) for code, texts in (("de", GERMAN_OPEN), ("es", SPANISH_OPEN)) for text in texts]
)
def test_what_leaves_something_open_is_not_whole(code: str, text: str) -> None:
    assert not reading(text, code).whole


@pytest.mark.parametrize(("code", "pairs"), [("de", GERMAN), ("es", SPANISH)])
def test_one_word_more_that_is_not_known_is_never_whole(code: str, pairs: list[tuple[str, object]]) -> None:
    for text, _ in pairs:
        words = text.split()
        for at in range(len(words) + 1):
            assert not reading(" ".join((*words[:at], "xyz", *words[at:])), code).whole


@pytest.mark.parametrize(
    ("code", "text", "places"),
    [("de", "Fahr in die Küche oder zur Tür.", ("küche", "tür")), ("es", "Ve a la sala o a casa.", ("sala", "casa"))],
)
def test_places_to_choose_from_are_told(code: str, text: str, places: tuple[str, ...]) -> None:
    assert reading(text, code).either == places


@pytest.mark.parametrize(("code", "text"), [("de", "Fahr in den Garten."), ("es", "Ve al jardín.")])
def test_a_request_to_go_where_no_place_is_known_is_told(code: str, text: str) -> None:
    assert reading(text, code).nowhere
