from __future__ import annotations

import time
from dataclasses import dataclass, field

import pytest

from agent.robot.controller import RobotController, tools_of
from languages.known import language_of
from reasoning.events import ToolCall
from reasoning.tools.written import WrittenCall
from robots.events import Event, Happening
from robots.facts.fitness import NoLink
from robots.facts.link import NobodyListens
from robots.facts.tasks import RobotSilent, ToldToStop
from robots.safety.gate import ANSWER_WITHIN_S, Gate, Latch
from robots.session import RobotSession
from robots.skills import SkillCall
from robots.terms.commands import Release
from tests.agent.standing_robot import releases, standing_robot
from tests.robots.stage.rig import HOUSE

GO = SkillCall("c", "go_to", {"place": "kitchen"}, 1)


@dataclass
class Told:
    """What a conversation is given."""

    notes: list[tuple[str, bool]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def note(self, text: str, *, unprompted: bool) -> None:
        self.notes.append((text, unprompted))

    def announce(self, text: str) -> None:
        self.said.append(text)


@dataclass
class Stage:
    session: RobotSession
    told: Told
    hands: RobotController

    @property
    def gate(self) -> Gate:
        return self.session.robot.gate

    def releases(self) -> list[Release]:
        """What waits to be sent to the robot, taken out."""
        return releases(self.session)

    def ask_at(self) -> None:
        """Let the clock pass the moment of the question: an answer must be later."""
        question = self.hands.question
        assert question is not None
        while time.monotonic() <= question.asked_at:
            pass


@pytest.fixture
def stage() -> Stage:
    session = standing_robot()
    told = Told()
    return Stage(session, told, RobotController(session, told, lambda _, __: None))


def call(name: str = "go_to", **arguments: object) -> ToolCall:
    return ToolCall("call1", name, arguments or {"place": "kitchen"})


def test_the_tools_are_the_skills_of_the_gate_and_places_are_those_of_the_map(stage: Stage) -> None:
    tools = {tool.name: tool for tool in tools_of(stage.session.robot.skills, HOUSE)}
    assert {"carry", "go_to", "go_to_pose", "stop", "pick", "wave"} <= set(tools)
    guard = tools["go_to"].guard
    assert guard is not None
    assert guard.named == set(HOUSE.places)
    assert tools["go_to"].parameters["properties"]["place"]["enum"] == sorted(HOUSE.places)
    assert not {name for name in tools if "resume" in name.lower() or "pause" in name.lower()}


def test_a_plain_request_is_read_back_and_becomes_an_order(stage: Stage) -> None:
    assert stage.hands.heard("go to the kitchen") is None
    assert stage.told.said == ["R1 will go to kitchen."]
    assert len(stage.releases()) == 1
    assert stage.hands.undone == 0


def test_carrying_is_picking_up_and_putting_down_each_with_a_yes_of_its_own(stage: Stage) -> None:
    stage.hands.heard("take this to the kitchen")
    assert stage.told.said == ["Shall R1 pick here?"]
    for _ in range(2):
        stage.ask_at()
        assert stage.hands.heard("yes") is None
    assert "drop at kitchen" in stage.told.said[-2]
    assert stage.hands.question is None
    assert [release.deed.skill for release in stage.releases() if release.deed is not None] == ["pick"]


def test_nothing_is_put_down_where_the_gate_refuses_to_pick_it_up(stage: Stage) -> None:
    stage.hands.called(call("carry", **{"from": "nowhere", "to": "kitchen"}))
    assert stage.hands.undone == 1
    assert stage.told.said == []


def test_what_the_gate_refuses_is_told_to_the_mind_which_may_reply(stage: Stage) -> None:
    stage.hands.called(call(place="moon"))
    assert not stage.releases()
    [(text, unprompted)] = stage.told.notes
    assert "refused" in text
    assert unprompted
    assert stage.hands.undone == 1


def test_a_call_that_was_asked_for_before_a_stop_is_refused_and_one_after_the_resume_is_not(stage: Stage) -> None:
    stage.hands.stop("the user said 'stop'")
    stage.hands.called(call())
    assert not stage.releases()
    # Even when the latch is open again: the reply that calls was made for words of before.
    stage.gate.latch = None
    stage.hands.called(call())
    assert not stage.releases()
    assert all("refused" in text for text, _ in stage.told.notes)


def test_a_stop_latches_and_only_the_user_opens_it_by_asking_and_saying_yes(stage: Stage) -> None:
    stage.hands.stop("a key")
    stage.session.robot.stopping = None
    assert stage.gate.latch is Latch.STOPPED
    assert stage.hands.heard("what time is it?") == "what time is it?"
    assert stage.hands.heard("yes") == "yes"
    assert stage.gate.latch is Latch.STOPPED
    assert stage.hands.heard("Resume, please.") is None
    assert stage.told.said == ["May R1 move again?"]
    assert stage.gate.latch is Latch.STOPPED
    stage.ask_at()
    assert stage.hands.heard("Yes.") is None
    assert stage.gate.latch is None


def test_no_to_a_resume_leaves_the_robot_stopped(stage: Stage) -> None:
    stage.hands.stop("a key")
    stage.session.robot.stopping = None
    stage.hands.heard("continue")
    stage.ask_at()
    assert stage.hands.heard("no") is None
    assert stage.gate.latch is Latch.STOPPED
    assert stage.hands.question is None


def test_a_skill_that_needs_a_yes_is_asked_for_and_the_mind_cannot_give_it(stage: Stage) -> None:
    stage.hands.called(call("pick", loadType="box"))
    assert stage.told.said == ["Shall R1 pick (loadType box)?"]
    assert not stage.releases()
    stage.hands.called(call("pick", loadType="box"))
    assert not stage.releases()
    stage.ask_at()
    assert stage.hands.heard("yes, please") is None
    assert len(stage.releases()) == 1


def test_what_was_called_behind_a_question_waits_for_its_answer_and_keeps_its_order(stage: Stage) -> None:
    stage.hands.called(call("pick", loadType="box"))
    stage.hands.called(call())
    stage.hands.called(call("drop", loadType="box"))
    assert not stage.releases()
    assert len(stage.told.said) == 1
    stage.ask_at()
    stage.hands.heard("yes")
    assert [release.deed.skill for release in stage.releases() if release.deed is not None] == ["pick"]
    assert stage.told.said[-1] == "Shall R1 drop (loadType box)?"


def test_other_words_drop_an_open_question(stage: Stage) -> None:
    stage.hands.heard("pick it up")
    assert stage.hands.question is not None
    assert stage.hands.heard("what time is it?") == "what time is it?"
    assert stage.hands.heard("yes") == "yes"
    assert not stage.releases()


def test_a_no_drops_what_was_called_behind_the_question(stage: Stage) -> None:
    stage.hands.heard("pick it up and bring it to the kitchen")
    stage.ask_at()
    stage.hands.heard("no")
    assert not stage.releases()
    assert stage.hands.idle


def test_a_stop_closes_an_open_question(stage: Stage) -> None:
    stage.hands.heard("pick it up")
    stage.hands.stop("the user said 'stop'")
    assert stage.hands.heard("yes") == "yes"
    assert not stage.releases()


def test_the_mind_can_stop(stage: Stage) -> None:
    stage.hands.called(ToolCall("call1", "stop", {}))
    assert stage.gate.latch is Latch.STOPPED


def test_a_place_that_was_perhaps_misheard_is_asked_for_before_anything_is_called(stage: Stage) -> None:
    assert stage.hands.heard("All, please, and wait seven seconds there.") is None
    assert stage.told.said == ["Do you mean the hall?"]
    assert stage.hands.asks
    assert not stage.hands.idle
    assert stage.hands.heard("Yes.") is None
    assert not stage.hands.asks
    assert stage.told.said[1:] == ["R1 will go to hall, then wait at hall (seconds 7)."]


@pytest.mark.parametrize(
    ("answer", "meant"),
    [
        ("No, the kitchen.", "go to kitchen"),
        ("I said the desk", "go to desk"),
        ("Go home and dock.", "go to home, then dock at home"),
        ("No.", ""),
    ],
)
def test_a_question_for_a_place_is_answered_by_a_no_another_place_or_another_request(
    stage: Stage, answer: str, meant: str
) -> None:
    assert stage.hands.heard("Go to the hall", (0.9, 0.9, 0.9, 0.3)) is None
    assert stage.hands.heard(answer) is None
    assert not stage.hands.asks
    assert stage.told.said[1:] == ([f"R1 will {meant}."] if meant else ["Then please say it again."])


def test_who_did_mean_the_words_as_they_were_heard_says_no(stage: Stage) -> None:
    assert stage.hands.heard("They wave to all, then go home.") is None
    assert stage.hands.heard("No!") == "They wave to all, then go home."


def test_after_a_stop_a_yes_does_not_bring_the_request_back(stage: Stage) -> None:
    assert stage.hands.heard("Go to the hole.") is None
    stage.hands.stop("a key")
    assert stage.hands.heard("yes") == "yes"


def test_a_late_yes_does_not_bring_the_request_back(stage: Stage) -> None:
    assert stage.hands.heard("Go to the hole.") is None
    stage.hands._doubted_at -= ANSWER_WITHIN_S + 1
    assert stage.hands.heard("yes") == "yes"


def test_there_is_the_place_that_was_named_before(stage: Stage) -> None:
    assert stage.hands.heard("Wait there for ten seconds.") is None
    assert stage.hands.heard("In the hall.") is None
    assert stage.told.said[-1] == "R1 will wait at hall (seconds 10)."
    assert stage.hands.heard("They wait there for ten seconds.") == "They wait there for ten seconds."


def test_there_is_no_place_to_go_to_for_what_is_done_on_the_spot(stage: Stage) -> None:
    assert stage.hands.heard("Wave to the guests there.") is None
    assert stage.told.said == ["R1 will wave."]


@pytest.mark.parametrize("answer", ["Never mind.", "Don't do it!", "No, wait.", "Lieber nicht."])
def test_who_takes_a_request_back_is_not_taken_to_the_place_that_was_heard_first(stage: Stage, answer: str) -> None:
    assert stage.hands.heard("Go to the kitchen.", other="Go to the hall.") is None
    assert stage.told.said == ["Do you mean the hall?"]
    assert stage.hands.heard(answer) is None
    assert stage.told.said[1:] == [stage.hands.language.robot.unchanged]
    assert not stage.releases()
    assert not stage.hands.asks


@pytest.mark.parametrize(
    "answer", ["No, the hall.", "Nein, die hall.", "Nicht in die hall.", "Not the hall.", "Yes, but go home first."]
)
def test_a_place_beside_a_no_is_no_choice_of_it(stage: Stage, answer: str) -> None:
    assert stage.hands.heard("Go to the hall", (0.9, 0.9, 0.9, 0.3)) is None
    stage.hands.heard(answer)
    assert not stage.releases()


@pytest.mark.parametrize(
    ("answer", "done"), [("Yes, sir.", True), ("Sure, go ahead.", True), ("No, wait.", False), ("Not there.", False)]
)
def test_a_yes_counts_in_whatever_words_it_is_given(stage: Stage, answer: str, done: bool) -> None:
    assert stage.hands.heard("Go to the hall, but only if it is open.") is None
    assert stage.hands.heard(answer) is None
    assert bool(stage.releases()) == done


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (Event(Happening.STOPPED), "R1 has stopped."),
        (
            Event(Happening.UNCONFIRMED, NoLink(NobodyListens("127.0.0.1:1"))),
            (
                "I could not confirm that R1 has stopped: there is no connection to the broker: nothing listens at "
                "127.0.0.1:1, no broker is running there. Use the stop button on the robot."
            ),
        ),
        (
            Event(Happening.UNKNOWN, RobotSilent("R1"), GO),
            "R1: go to kitchen: R1 does not answer. What became of it is unknown.",
        ),
    ],
)
def test_what_became_of_a_stop_is_said_past_the_mind_with_its_reason(stage: Stage, event: Event, words: str) -> None:
    stage.hands.happened(event)
    assert stage.told.said == [words]
    assert stage.told.notes == [(f"[robot] {words}", False)]


def test_the_mind_replies_to_an_arrival_unprompted_but_not_while_the_robot_is_stopped(stage: Stage) -> None:
    stage.hands.happened(Event(Happening.DONE, call=GO))
    stage.hands.stop("a key")
    stage.hands.happened(Event(Happening.FAILED, ToldToStop(), GO))
    assert [unprompted for _, unprompted in stage.told.notes] == [True, False]
    assert not stage.told.said


@pytest.mark.parametrize(
    ("code", "question", "resumed"),
    [
        ("de", "Darf R1 wieder fahren?", "R1 darf wieder fahren."),
        ("es", "¿Puede R1 moverse de nuevo?", "R1 puede moverse de nuevo."),
    ],
)
def test_the_user_is_told_of_the_robot_in_their_language(stage: Stage, code: str, question: str, resumed: str) -> None:
    stage.hands.language = language_of(code)
    stage.hands.stop("test")
    stage.hands.happened(Event(Happening.STOPPED))
    assert stage.told.notes[-1][0] == f"[robot] {stage.told.said[-1]}"
    assert "has stopped" not in stage.told.said[-1]
    assert "R1" in stage.told.said[-1]
    stage.session.robot.stopping = None
    stage.hands.heard("Weiter!" if code == "de" else "Sigue.")
    assert stage.told.said[-1] == question
    stage.ask_at()
    stage.hands.heard("Ja, bitte." if code == "de" else "¡Sí, por favor!")
    assert stage.told.said[-1] == language_of(code).robot.confirmed
    assert stage.gate.latch is None
    stage.hands.happened(Event(Happening.RESUMED))
    assert stage.told.said[-1] == resumed


@pytest.mark.parametrize("answer", ["yes", "no"])
def test_what_the_mind_makes_of_a_request_is_asked_and_done_after_a_yes_alone(stage: Stage, answer: str) -> None:
    request = "They are waiting for you in the kitchen."
    assert stage.hands.heard(request) == request
    stage.hands.called(call())
    assert stage.told.said == ["Shall R1 go to kitchen?"]
    assert not stage.releases()
    assert stage.hands.heard(answer) is None
    assert len(stage.releases()) == (answer == "yes")


def test_all_calls_of_one_request_are_one_question(stage: Stage) -> None:
    request = "I would like to see you in the hall and at the desk."
    assert stage.hands.heard(request) == request
    (guard,) = (tool.guard for tool in stage.hands.tools if tool.name == "go_to")
    assert guard is not None
    made = [WrittenCall("go_to", {"place": place}) for place in ("hall", "desk")]
    assert not guard.senseless(made)
    for one in made:
        stage.hands.called(ToolCall("call", one.name, one.arguments))
    assert stage.told.said == ["Shall R1 go to hall, then go to desk?"]


def test_an_order_with_words_that_are_not_known_is_asked(stage: Stage) -> None:
    assert stage.hands.heard("Go to the hall, but only if it is open.") is None
    assert stage.told.said == ["Shall R1 go to hall?"]
    assert not stage.releases()


def test_a_word_that_was_hardly_heard_is_asked(stage: Stage) -> None:
    assert stage.hands.heard("Wait here for nine seconds.", (0.9, 0.9, 0.9, 0.3, 0.9)) is None
    assert stage.told.said == ["Shall R1 wait here (seconds 9)?"]
    assert stage.hands.heard("Wait here for nine seconds.", (0.9, 0.9, 0.3, 0.9, 0.9)) is None
    assert stage.told.said[1:] == ["R1 will wait here (seconds 9)."]


def test_what_another_transcript_has_otherwise_is_asked(stage: Stage) -> None:
    assert stage.hands.heard("Wait here for nine seconds.", other="Wait here for five seconds.") is None
    assert stage.told.said == ["Shall R1 wait here (seconds 9)?"]


def test_two_places_to_choose_from_are_asked_for(stage: Stage) -> None:
    assert stage.hands.heard("Go to the kitchen or the desk.") is None
    assert stage.told.said == ["Where do you mean: the desk or the kitchen?"]
    assert stage.hands.heard("The desk.") is None
    assert stage.told.said[1:] == ["R1 will go to desk."]


def test_where_no_place_is_known_the_place_is_asked_for(stage: Stage) -> None:
    assert stage.hands.heard("Go to the garden.") is None
    assert stage.told.said == ["Where do you mean: the desk, the hall, the home or the kitchen?"]
    assert stage.hands.heard("no") is None
    assert not stage.releases()


def test_what_is_done_at_once_waits_for_what_was_asked_for_before(stage: Stage) -> None:
    assert stage.hands.heard("Go to the hall and wave.") is None
    assert stage.told.said == ["R1 will go to hall, then wave."]
    assert not stage.hands.idle
    assert [release.deed for release in stage.releases()] == [None]
    stage.hands.stop("a key")
    stage.hands.happened(Event(Happening.FAILED, ToldToStop(), GO))
    assert not stage.hands._later


def test_a_request_after_the_question_drops_it(stage: Stage) -> None:
    assert stage.hands.heard("Go to the hall, but only if it is open.") is None
    assert stage.hands.heard("what time is it?") == "what time is it?"
    assert stage.hands.heard("yes") == "yes"
    assert not stage.releases()


@pytest.mark.parametrize(
    ("code", "lines", "does"),
    [
        (
            "de",
            ("Fahr zur hall und warte dort vier Sekunden.", "R1 macht jetzt: Fahrt zu hall, dann wait bei hall"),
            True,
        ),
        ("de", ("Fahr zum desk, aber leise.", "Soll R1 das tun: Fahrt zu desk?", "Ja, mach das.", "In Ordnung."), True),
        (
            "de",
            ("Fahr zum desk, aber leise.", "Soll R1 das tun: Fahrt zu desk?", "Nein, warte.", "In Ordnung, es"),
            False,
        ),
        ("de", ("Fahr in den Garten.", "Wohin genau: desk, hall,", "Zum desk.", "R1 macht jetzt: Fahrt zu desk"), True),
        ("es", ("Ve a la hall y espera allí cuatro segundos.", "R1 va a hacer esto: ir a hall"), True),
        (
            "es",
            ("Ve al jardín.", "¿Adónde exactamente: desk, hall,", "Al desk.", "R1 va a hacer esto: ir a desk"),
            True,
        ),
        ("es", ("Ve al desk con cuidado.", "¿Debe R1 hacer esto: ir a desk?", "Claro que sí.", "De acuerdo."), True),
    ],
)
def test_requests_in_other_languages_are_done_or_asked_in_them(
    stage: Stage, code: str, lines: tuple[str, ...], does: bool
) -> None:
    stage.hands.language = language_of(code)
    for line, reply in zip(lines[::2], lines[1::2], strict=True):
        assert not stage.releases()
        assert stage.hands.heard(line) is None
        assert stage.told.said[-1].startswith(reply)
    assert bool(stage.releases()) == does


def test_places_may_be_named_in_the_letters_of_their_language() -> None:
    session = standing_robot()
    places = {"küche": HOUSE.places["kitchen"], "straße": HOUSE.places["hall"], "zuhause": HOUSE.places["home"]}
    session.robot.gate.site = HOUSE.model_validate({**HOUSE.model_dump(), "places": places})
    told = Told()
    hands = RobotController(session, told, lambda _, __: None)
    hands.language = language_of("de")
    assert hands.heard("Fahr in die Küche und komm dann zurück nach Hause.") is None
    assert hands.heard("Fahr zur Straße.") is None
    assert told.said == [
        "R1 macht jetzt: Fahrt zu küche, dann Fahrt zu zuhause.",
        "R1 macht jetzt: Fahrt zu straße.",
    ]
