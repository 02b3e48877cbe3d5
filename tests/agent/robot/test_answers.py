from __future__ import annotations

import pytest

from agent.robot.answers import UserAnswer, answer_of
from languages.known import known_languages

YES = [
    *("Yes.", "Yes, sir.", "Yes, sir!", "Sure, go ahead.", "Yes please do.", "Okay do that.", "Okay, do that, please."),
    *(
        "Yeah, sure.",
        "Yes, yes.",
        "Of course.",
        "Yes, you may.",
        "Yes, it may.",
        "That's right.",
        "Yes, that is right.",
    ),
    *("Well, yes.", "All right, do it.", "Go ahead and do it.", "Yes, I do.", "Yes, continue.", "By all means!"),
    *(
        "Ja.",
        "Ja, bitte.",
        "Ja, mach das.",
        "Klar, mach!",
        "Jawohl!",
        "Ja, genau.",
        "Ja gut.",
        "In Ordnung.",
        "Na klar.",
    ),
    *("Aber gerne.", "Ja, das darf er.", "Okay, mach das.", "Ja, weiter.", "Auf jeden Fall!"),
    *(
        "Sí.",
        "¡Sí, por favor!",
        "Sí, señor.",
        "Claro que sí.",
        "Vale, hazlo.",
        "Por supuesto.",
        "De acuerdo, adelante.",
    ),
    *("Sí, puede hacerlo.", "Está bien, sí.", "Si."),
]
NO = [
    *("No.", "No, sir.", "No, no, no.", "Not there.", "No, not there.", "Nope, not that one.", "That's wrong."),
    *("Nein.", "Nee, nicht dahin.", "Nein, das stimmt nicht.", "Da nicht, bitte."),
    *("No, ahí no.", "Eso no, por favor.", "¡Que no!"),
]
WITHDRAWN = [
    *(
        "No, wait.",
        "Wait!",
        "Never mind.",
        "No, don't.",
        "Please don't do it.",
        "Not now.",
        "No, thank you.",
        "No way!",
    ),
    *("Better not.", "Nein, warte.", "Lieber nicht.", "Nein, danke.", "Mach das nicht!", "Moment mal.", "Vergiss es."),
    *("No, espera.", "Mejor no.", "Claro que no.", "No, gracias.", "Ahora no.", "No lo hagas."),
]
NEITHER = [
    *("", "?", "Okay.", "Please.", "Sir.", "Thanks.", "Well...", "Right.", "You may.", "Do.", "Go.", "I do."),
    *("Yes, but to the hall.", "Yes, and then go home.", "Yes, go to the kitchen.", "Sure, wave."),
    *("Yes, if it is open.",),
    *("Yes, no.", "No, yes.", "Yes, wait.", "Yes, don't.", "Yeah, no.", "Yes, not there.", "I don't, go."),
    *("No problem.",),
    *("No, the kitchen.", "No, go to the hall.", "Yes, I'm…", "Yesterday.", "Yes, stop.", "What?", "Do it again."),
    *("Ja, aber in die Halle.", "Ja, nein.", "Ja, und dann nach Hause.", "Bitte.", "Danke.", "Gut.", "Ja, warte."),
    *("Ja, fahr in die Küche.", "Nein, in die Küche.", "Mach.", "Doch."),
    *("Sí, pero a la sala.", "Sí, no.", "Si no.", "Si quieres.", "Vale.", "Gracias.", "No, a la cocina.", "Ve."),
    *("Sí, espera.",),
]  # fmt: skip


@pytest.mark.parametrize("text", YES)
def test_a_yes_is_one_however_it_is_put(text: str) -> None:
    assert answer_of(text) is UserAnswer.YES


@pytest.mark.parametrize("text", NO)
def test_a_no_is_one(text: str) -> None:
    assert answer_of(text) is UserAnswer.NO


@pytest.mark.parametrize("text", WITHDRAWN)
def test_who_says_that_nothing_is_to_be_done_takes_it_back(text: str) -> None:
    assert answer_of(text) is UserAnswer.WITHDRAWN


@pytest.mark.parametrize("text", NEITHER)
def test_what_says_anything_else_is_no_answer(text: str) -> None:
    assert answer_of(text) is None


@pytest.mark.parametrize("code", sorted(known_languages()))
def test_every_phrase_of_a_language_is_what_its_table_says(code: str) -> None:
    words = known_languages()[code].answers
    tables = {UserAnswer.YES: words.yes, UserAnswer.NO: words.no, UserAnswer.WITHDRAWN: words.withdrawn}
    assert {(phrase, answer_of(phrase)) for phrases in tables.values() for phrase in phrases} == {
        (phrase, answer) for answer, phrases in tables.items() for phrase in phrases
    }
    assert not [phrase for phrase in (*words.beside_yes, *words.polite) if answer_of(phrase) is not None]
