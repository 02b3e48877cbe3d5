"""What every language must give: one contract, over all that are registered."""

from __future__ import annotations

import pkgutil
import re
from dataclasses import fields
from importlib import import_module
from string import Formatter

import pytest
from hypothesis import given
from hypothesis import strategies as st

import robots.facts
from agent.conversation.options import TurnOptions
from agent.conversation.turn_taking import TurnTaking
from agent.robot.misheard import doubt
from agent.robot.telling import told, told_call, told_event
from audio.hearing.agreement import key
from audio.hearing.stop_phrases import StopPhrases
from audio.messages import SpeechStarted, Words
from audio.options import VoiceOptions
from audio.speaking.clauses import Clauses
from languages.errors import UnknownLanguage
from languages.known import known_languages, language_of
from languages.language import Language
from reasoning.loop.steps import sentence_end
from reasoning.policies.grounding import names, numbers, ungrounded
from reasoning.policies.sums.consistency import contradicted
from reasoning.policies.sums.readout import readout
from reasoning.prompting.script import FAMILIES, Family
from robots.events import Event, Happening
from robots.facts.fact import Fact, code_of
from robots.facts.fitness import NoLink
from robots.facts.link import NobodyListens
from robots.skills import SkillCall

MODULES = [import_module(f"robots.facts.{module.name}") for module in pkgutil.iter_modules(robots.facts.__path__)]
KINDS = {kind for module in MODULES for kind in vars(module).values() if isinstance(kind, type)}
FACTS = sorted((kind for kind in KINDS if issubclass(kind, Fact) and kind is not Fact), key=code_of)
ANYTHING: dict[str, st.SearchStrategy[object]] = {
    "str": st.text(max_size=8),
    "int": st.integers(0, 999),
    "float": st.floats(),
    "tuple[str, ...]": st.lists(st.text(max_size=8), max_size=20).map(tuple),
    "Fact": st.just(NobodyListens("h:1")),
}
LANGUAGES = list(known_languages().values())
STOPS = StopPhrases(TurnOptions().stop_phrases)
ENGLISH = language_of("en")
ENGLISH_WORDS = re.compile(
    r"\b(?:the|and|you|your|is|are|with|not|sorry|please|answer|sentence|now|what)\b", re.IGNORECASE
)
every_language = pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: language.code)


def sayings(language: Language) -> list[str]:
    """Give what is said to a user or to the model, but for the probes: they may be English, or lacking."""
    replies = language.replies
    several = {"fillers", "statuses"}
    said = [*replies.fillers, *replies.statuses]
    said += [getattr(replies, item.name) for item in fields(replies) if item.name not in several]
    prompts = {item.name: getattr(language.prompts, item.name) for item in fields(language.prompts)}
    said += [
        text
        for name, text in prompts.items()
        if isinstance(text, str) and name not in {"need_question", "kind_question"}
    ]
    places = language.places
    said += [places.meant, places.where, places.inside, places.both, places.either]
    return [*said, *robot_sayings(language).values()]


def robot_sayings(language: Language) -> dict[str, str]:
    """Give what is said of a robot, by what it is."""
    found: dict[str, str] = {}
    for item in fields(language.robot):
        value = getattr(language.robot, item.name)
        if isinstance(value, str):
            found[item.name] = value
        else:
            found |= {f"{item.name}.{code}": text for code, text in value.items()}
    return found


def blanks(text: str) -> list[str]:
    return sorted(str(name) for _, name, _, _ in Formatter().parse(text) if name is not None)


def test_three_languages_are_there() -> None:
    assert {"de", "en", "es"} <= known_languages().keys()


def test_an_unknown_one_is_told_with_those_that_are_there() -> None:
    with pytest.raises(UnknownLanguage, match=r"'tlh' here; there are .*de \(German\), en \(English\)"):
        language_of("tlh")


@every_language
def test_its_commands_to_stop_are_heard(language: Language) -> None:
    for phrase in language.stops.phrases:
        assert STOPS.command(f"{phrase}!"), phrase
        assert STOPS.nothing_else(phrase), phrase
        for polite in language.stops.polite:
            assert STOPS.command(f"{phrase} {polite}"), (phrase, polite)


@every_language
def test_words_around_a_command_make_another_thing_of_it(language: Language) -> None:
    phrase = language.stops.phrases[0]
    for word in [*language.stops.negated, *language.stops.naming, *language.stops.telling]:
        assert STOPS.command(f"{word} {phrase}") is None, word


@every_language
def test_common_words_stop_only_where_nothing_else_is_said(language: Language) -> None:
    for phrase in language.stops.alone:
        assert phrase in language.stops.phrases
        assert STOPS.command(f"{phrase} xyz abc") is None


@every_language
def test_numbers_are_read_aloud_and_read_back(language: Language) -> None:
    for number in range(10_000):
        said = language.read_aloud(str(number))
        assert not re.search(r"\d", said)
        assert language.numbers.values_in(said) == [float(number)], said


@every_language
def test_numbers_in_figures_are_read(language: Language) -> None:
    group, point = language.numbers.group, language.numbers.point
    assert language.numbers.values_in(f"1{group}234{point}5 x 7{point}25") == [1234.5, 7.25]
    assert language.numbers.values_in(f"12{group}345{group}678") == [12_345_678]


@every_language
def test_a_part_of_a_foreign_number_is_none(language: Language) -> None:
    one = next(word for word, value in language.numbers.values.items() if value == 6)
    assert not numbers(f"trente-{one}", language)
    assert numbers(f"qwertz {one}", language) == {6.0}


@every_language
def test_what_it_says_while_one_waits_holds_no_number_and_ends_like_speech(language: Language) -> None:
    assert len(language.replies.fillers) > 2
    assert len(language.replies.statuses) > 2
    for phrase in (*language.replies.fillers, *language.replies.statuses):
        assert phrase[-1] in ".,"
        assert numbers(phrase, language) <= {1.0}


@every_language
def test_sentences_end_where_they_do_and_not_behind_abbreviations(language: Language) -> None:
    sentence, voice = language.replies.no_answer, VoiceOptions(clause_words=100, first_clause_words=100)
    assert sentence_end(f"{sentence} {sentence}", language) == len(sentence)
    for abbreviation in language.sentences.never_last:
        clauses = Clauses(voice, language)
        assert clauses.receive(f"Xyz {abbreviation}. Abc. ") == [f"Xyz {abbreviation}. Abc. "], abbreviation


@every_language
def test_no_other_language_leaks_into_what_it_says(language: Language) -> None:
    said = sayings(language)
    assert all(said)
    if language is not ENGLISH:
        for text in said:
            assert not ENGLISH_WORDS.search(re.sub(r"\{\w*\}", "", text)), text
        worded = {text for text in said if len(re.sub(r"\{\w*\}", "", text)) > 5}
        assert not worded & set(sayings(ENGLISH))


@every_language
def test_its_sayings_have_the_same_blanks_as_the_english_ones(language: Language) -> None:
    for part in ("prompts", "places", "replies"):
        of, english = getattr(language, part), getattr(ENGLISH, part)
        for item in fields(of):
            if isinstance(getattr(of, item.name), str):
                assert blanks(getattr(of, item.name)) == blanks(getattr(english, item.name)), item.name
    english, own = robot_sayings(ENGLISH), robot_sayings(language)
    assert own.keys() == english.keys()
    for name, text in own.items():
        assert set(blanks(text)) == set(blanks(english[name])), name


@every_language
def test_every_code_of_a_robot_has_words_and_every_fact_a_place_in_them(language: Language) -> None:
    sayings = language.robot
    assert {code_of(kind): {item.name for item in fields(kind)} for kind in FACTS} == {
        code: set(blanks(text)) for code, text in sayings.facts.items()
    }
    assert sayings.happenings.keys() == set(Happening)
    assert sayings.because.keys() == {Happening(code) for code in sayings.because}


@every_language
def test_what_happened_to_a_robot_is_told_with_its_reason(language: Language) -> None:
    call = SkillCall("c", "pick", {"place": "hall", "height": 1.5}, 1)
    for happening in Happening:
        plain = told_event(Event(happening, call=call), "R1", language)
        assert "{" not in plain
        assert plain[0].isupper()
        assert plain.endswith(".")
        if happening in language.robot.because:
            because = told_event(Event(happening, NoLink(NobodyListens("h:1")), call), "R1", language)
            assert language.robot.facts["nobody_listens"].format(broker="h:1") in because
            assert because != plain
    assert f"1{language.numbers.point}5" in told_call(call, language)
    assert "3" in told_event(Event(Happening.FAILED, call=call, dropped=3), "R1", language)


@every_language
@given(st.data())
def test_every_fact_can_be_told_whatever_is_in_it(language: Language, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(FACTS))
    fact = kind(**{item.name: data.draw(ANYTHING[str(item.type)]) for item in fields(kind)})
    said = told(fact, language)
    assert all(value in said for _, value in fact.items() if isinstance(value, str))
    assert fact.record()["code"] == fact.code


@every_language
def test_tables_of_words_are_bare_as_they_are_compared(language: Language) -> None:
    for group in (language.stops, language.answers, language.places):
        for item in fields(group):
            words = getattr(group, item.name)
            if isinstance(words, frozenset):
                assert all(" ".join(map(key, phrase.split())) == phrase for phrase in words), item.name


@every_language
def test_a_calculation_is_read_out(language: Language) -> None:
    said = readout("2. 4 * 9 = 36", language)
    assert said is not None
    assert not re.search(r"[*=]", said)
    assert numbers(said, language) == {4.0, 9.0, 36.0}
    assert language.working.called.fullmatch(f"{language.working.the_answer.format('xyz')}.")


@every_language
def test_what_was_said_is_held_against_the_thoughts(language: Language) -> None:
    said = [readout(f"4 {sign} 9 = 35", language) or "" for sign in "*+-/"]
    assert all(said)
    for sentence, sign in zip(said, "*+-/", strict=True):
        wrong = contradicted([sentence], [f"1. 4 {sign} 9 = 36"], language)
        assert wrong is not None
        assert wrong.instead == readout(f"4 {sign} 9 = 36", language)
        assert contradicted([sentence], [f"4 {sign} 9 = 35", f"5 {sign} 9 = 36"], language) is None


@every_language
def test_days_are_names_and_invented_ones_are_found(language: Language) -> None:
    for day in language.names.calendar:
        assert names(f"xyz {day}", language) == {day}
        assert ungrounded(f"xyz {day}", "xyz", language=language) == [day]


@every_language
def test_its_signs_of_listening_do_not_interrupt(language: Language) -> None:
    for phrase in language.listener.backchannels:
        turns = TurnTaking(TurnOptions())
        turns.speak(language)
        turns.requested()
        turns.receive(SpeechStarted(1, 0, 0), 0.0)
        turns.receive(Words(1, 0, f"{phrase}.", "", (0.9,) * len(phrase.split()), final=False), 0.5)
        assert turns.state == "answering", phrase


@every_language
def test_a_place_is_asked_for(language: Language) -> None:
    word = min(language.places.there)
    found = doubt(word, ["x", "y", "z"], language=language)
    assert found is not None
    assert found.question(["x", "y", "z"]) == language.places.where.format(
        language.places.either.join(
            [
                ", ".join(language.places.one.format(name) for name in "xy"),
                language.places.one.format("z"),
            ]
        )
    )
    assert found.mended("x") == language.places.inside.format("x")


@every_language
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_of_models_is_worded_in_it(family: Family, language: Language) -> None:
    worded = family.in_language(language)
    assert worded.language is language
    assert worded.prompts.system == language.prompts.system
    assert worded.think_end == family.think_end
    assert worded.in_language(ENGLISH).prompts.system == family.prompts.system
