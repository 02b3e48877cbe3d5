"""What a language is to this house: one object, made by one module of this room for each language.

Everything that is said in a language or read from it stands here as data; whoever uses it lives elsewhere. Words are
in lower case, and where they are compared without punctuation, without apostrophes ("dont"). Patterns find text as it
is written, whatever the case.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from languages.numbers import NumberWords


@dataclass(frozen=True, slots=True)
class SentenceRules:
    """Where sentences end."""

    never_last: frozenset[str]
    """Abbreviations that something always follows, without their last full stop."""
    maybe_last: frozenset[str]
    """Abbreviations that end a sentence if a capital letter follows."""
    letters: frozenset[str]
    """Single letters that are words, and no initials."""
    end: re.Pattern[str]
    """The mark that ends a sentence, where white space follows: neither that of an abbreviation nor a list's."""
    numbered_end: re.Pattern[str]
    """The mark behind figures that ends a sentence."""
    unfinished: frozenset[str]
    """Words after which more must come: articles, prepositions, conjunctions, hesitation."""
    leading: frozenset[str]
    """Words at the beginning of a sentence after whose clause another one may come: "and", "if"."""
    dotted: frozenset[str] | None = None
    """Words before which figures with a full stop are an ordinal: "1. Mai"; None where ordinals have none."""


@dataclass(frozen=True, slots=True)
class NameRules:
    """What a name is: what may be stated only where somebody has named it."""

    capitals: bool
    """Whether a word that is written large inside a sentence is one."""
    titles: frozenset[str]
    """Words behind which a word that is written large is one, whatever the rule is."""
    calendar: frozenset[str]
    """Days and months: names anywhere."""
    free: frozenset[str]
    """Words that are written large for other reasons."""
    possessive: str
    """Ending that a name may have."""


@dataclass(frozen=True, slots=True)
class CalendarWords:
    """How the date and the time of day are told."""

    weekdays: tuple[str, ...]
    """Monday first."""
    months: tuple[str, ...]
    halves: tuple[str, str]
    """Of the day, before and after noon; empty where the clock has 24 hours."""
    hours: frozenset[str]
    """Words and signs behind a number of hours."""
    minutes: frozenset[str]
    now: str
    """`{weekday}`, `{day}`, `{month}`, `{year}`, `{hour}`, `{hour12}`, `{minute}` in two figures, and `{half}`."""

    def told(self, now: datetime) -> str:
        """Tell the date and the time of day."""
        return self.now.format(
            weekday=self.weekdays[now.weekday()],
            day=now.day,
            month=self.months[now.month - 1],
            year=now.year,
            hour=now.hour,
            hour12=now.hour % 12 or 12,
            minute=f"{now.minute:02}",
            half=self.halves[now.hour // 12],
        )


@dataclass(frozen=True, slots=True)
class StopWords:
    """Commands to stop, and the words around them."""

    phrases: tuple[str, ...]
    """Commands of their own: they head a clause, or stand in one with next to nothing else."""
    alone: frozenset[str]
    """Those that mean something else at the head of a longer clause, such as "para" in Spanish."""
    polite: frozenset[str]
    """Words around a command that do not change it."""
    negated: frozenset[str]
    """A command with one of these before it is another one."""
    naming: frozenset[str]
    """Right before the word, these make a noun of it: "the next stop"."""
    telling: frozenset[str]
    """Right before the word, these make a statement of it: "it stop" is what is heard of "it stopped"."""


@dataclass(frozen=True, slots=True)
class ListenerWords:
    """What a listener says, and what a recogniser hears where nobody speaks."""

    backchannels: tuple[str, ...]
    """Said without wanting the turn."""
    asking: frozenset[str]
    """Single words that ask for the turn, said over somebody: however badly they are heard, they are no hum."""
    phantoms: frozenset[str]
    """What Whisper likes to hear in noise. People say these too."""


@dataclass(frozen=True, slots=True)
class AnswerWords:
    """What a user answers to a robot's question; `agent.robot.answers` has the grammar."""

    yes: frozenset[str]
    """Each alone is a yes, and nothing that is hummed or said in thought."""
    beside_yes: frozenset[str]
    """What may stand beside a yes, and alone is none: "sir", "you may"."""
    no: frozenset[str]
    withdrawn: frozenset[str]
    """Take back all that was asked for: "wait", "never mind"."""
    resume: frozenset[str]
    """Ask for an end of a stop or a pause; they lead to a question, not to motion."""
    amends: frozenset[str]
    """Words around a place by which alone a question for a place is answered: "no, I said the kitchen"."""
    polite: frozenset[str]


@dataclass(frozen=True, slots=True)
class PlaceWords:
    """Where the names of places stand among words, and how they sound."""

    before: frozenset[str]
    """Words behind which a place is named; so does a clause begin."""
    after: frozenset[str]
    """Words before which the name of a place has come to its end; so does a clause end."""
    calls: frozenset[str]
    """Words that open or close a clause and sound like a place, or nearly."""
    there: frozenset[str]
    """Words that stand for a place."""
    there_is: frozenset[str]
    """Words behind those that say that something exists."""
    over_there: frozenset[str]
    """Words before those that only point, or say that something exists."""
    sounds: tuple[tuple[str, str], ...]
    """Spellings and what they sound like, roughly, in this order."""
    one: str
    """A place in a question: `{}` is its name."""
    inside: str
    """A place in the stead of "there"."""
    meant: str
    """Asks whether places are meant."""
    where: str
    """Asks which of the places is meant."""
    both: str
    """Between places that are both meant."""
    either: str
    """Before the last one of several to choose from."""


@dataclass(frozen=True, slots=True)
class ReplySayings:
    """What is said past the model."""

    fillers: tuple[str, ...]
    """Fill a wait, in this order: short, and true. The first are the shortest."""
    statuses: tuple[str, ...]
    """Said in a wait that fillers did not fill: how things stand, whatever the reply is waiting for."""
    elapsed: str
    """The same: `{}` is how many seconds the wait has lasted, roughly."""
    repair: str
    """Said before what is right, where some of what is wrong was heard."""
    doubt: str
    """Said behind what the model was not sure of."""
    no_answer: str
    """Said when neither the writer nor the thoughts have an answer."""
    acted: str
    """Said after calls for which the writer has no words."""
    declined: str
    """Said where nothing can be called."""
    hello: str
    """Stands for the user's words where the assistant is to speak first."""
    go_on: str
    """Stands for them where it is to speak again."""

    def fills(self, text: str) -> bool:
        """Say whether a text fills a wait and is no part of a reply."""
        before, _, after = self.elapsed.partition("{}")
        lasts = text.removeprefix(before).removesuffix(after).isdigit()
        return text in self.fillers or text in self.statuses or lasts


@dataclass(frozen=True, slots=True)
class PromptWording:
    """What the loop says to the model. Biases and borders were measured with the default model."""

    system: str
    """How the assistant speaks; heads every conversation."""
    identity: str
    """Who it is: its name, what it is and can do, its language. Read where a reply comes at once."""
    limits: str
    """What it cannot know; read there, too."""
    think_request: str
    """Follows the user's words, inside their turn, where thoughts come next."""
    work_open: str
    """Opens the thoughts, behind the opening of the model's message."""
    resume_open: str
    """Follows thoughts that were interrupted by new words."""
    notes_request: str
    """As `think_request`, where there is nothing to compute: asks for notes in sentences."""
    notes_open: str
    """Opens them."""
    notes_resume_open: str
    """Follows notes that were interrupted by new words."""
    answer_request: str
    """Follows the user's words where the reply comes at once."""
    step_request: str
    """Asks for one sentence about the last finished step."""
    result_request: str
    """Asks for the result, after the thoughts have ended."""
    need_question: str
    """Follows the user's words and asks whether they call for thinking at all."""
    need_bias: float
    """Log-odds of yes at which the need question divides small talk from problems."""
    need_of_numbers: float
    """Log-odds that words with two numbers or more have ahead, of this question and the next: small talk has few."""
    need_bias_with_tools: float
    """As `need_bias`, with tools in the prompt and words that ask for none of them."""
    kind_question: str
    """Follows the user's words and asks what kind of question they are, in one word. Empty where nothing was measured
    of it: then what is no sum is answered at once."""
    kind_bias: float
    """Log-odds of `reasoned` to `told` at which it divides what takes reasoning from what is answered at once."""
    kind_clear: float
    """The same, above that border, from which on it is a sum, and the need question is not asked."""
    reasoned: tuple[str, ...]
    """Answers that name a kind which takes reasoning: the first tokens of these count."""
    told: tuple[str, ...]
    """Answers that name one which does not."""
    force_answer: str
    """Goes on with thoughts that do not come to an end: they name the best answer they have."""
    yes: tuple[str, ...]
    """Answers that mean yes; those of one token count."""
    no: tuple[str, ...]
    """Answers that mean no."""
    yes_bias: float
    """Log-odds of yes to no that a reply at once has to have to begin with a yes, which is said too easily; 0: any."""
    act_request: str
    """Asks for calls, after thoughts."""
    acted_request: str
    """Asks what to say after calls; `{calls}` is a line for each."""
    note_request: str
    """Follows notes that came without the user's words."""
    meant: str
    """What the user means by a correction; `{}` is the question with it."""
    found_request: str
    """Asks what was found so far, where thoughts are prose."""


@dataclass(frozen=True, slots=True)
class CorrectionWords:
    """How a user corrects what was said before."""

    negated: re.Pattern[str]
    """Stands before what is named as wrong: "not", "instead of"."""
    adds: re.Pattern[str]
    """Says that something comes on top."""
    says_nothing: frozenset[str]
    """Words that do not tell which quantity a number is."""
    joins: frozenset[str]
    """Words between two quantities."""
    endings: re.Pattern[str]
    """What a word may end in without being another one."""
    money: tuple[tuple[re.Pattern[str], str], ...]
    """Amounts with signs, and how they are written in words."""
    result: re.Pattern[str]
    """Divides a step of the working into what it uses and what it finds."""


@dataclass(frozen=True, slots=True)
class WorkingWords:
    """How the steps of a working are read, and read out."""

    list_mark: re.Pattern[str]
    """Opens a step with its number."""
    numbered: re.Pattern[str]
    """The same, with white space behind it: "1.5" opens with none."""
    announces: re.Pattern[str]
    """Opens a step that says what is to be done, not what was found."""
    answer: re.Pattern[str]
    """Opens a step that calls its result the answer."""
    answer_in: re.Pattern[str]
    """The same inside a sentence."""
    closes: re.Pattern[str]
    """Opens a step that follows from the others: "so", "thus"."""
    doubt: re.Pattern[str]
    """Words with which the thoughts turn round: "wait, no"."""
    claim: re.Pattern[str]
    """Calls something the end of the working."""
    steps: re.Pattern[str]
    """Speaks of the working itself."""
    signs: tuple[tuple[re.Pattern[str], str], ...]
    """Mathematical signs and how they are said."""
    operations: frozenset[str]
    """The words of a calculation: "times"."""
    either_way: frozenset[str]
    """Those whose sides may change places."""
    verb: str
    """Between a calculation and its result, with its spaces."""
    the_answer: str
    """Tells an answer, without its full stop; `{}` is what it is."""
    called: re.Pattern[str]
    """Finds the answer in that."""
    plural: re.Pattern[str]
    """Ending of a unit in the plural."""
    quantity: re.Pattern[str]
    """A result that can be said: a number and what it counts."""


@dataclass(frozen=True, slots=True)
class RequestWords:
    """How a request for calls tells what, and in which order."""

    negated: re.Pattern[str]
    """Names what is not to be done."""
    turns: re.Pattern[str]
    """Tells an order other than that in which things are named."""
    equals: str
    """Pattern between the name of an argument and its number: "y is 1.5"."""
    spelled: re.Pattern[str]
    """A number by which something is known, its figures told one by one: "order number 1, 2, 3, 4"."""

    def together(self, text: str) -> str:
        """Write such numbers as one: ears put signs between figures that are told one by one, and that makes a list."""
        return self.spelled.sub(lambda found: f"{found[1]}{re.sub(r'[^0-9]', '', found[2])}", text)


@dataclass(frozen=True, slots=True)
class RobotSayings:
    """What is said of a robot, past the model or to it: words for codes and facts.

    A blank has the name of the fact that fills it. `{robot}` is the robot's name, `{what}` what it is asked to do,
    `{reason}` the saying of a further fact.
    """

    facts: Mapping[str, str]
    """By the code of the kind of `robots.facts.fact.Fact`: a clause without a full stop, in lower case at its beginning
    where the language allows."""
    happenings: Mapping[str, str]
    """Whole sentences by the value of `robots.events.Happening`."""
    because: Mapping[str, str]
    """The same where a reason is known."""
    dropped: str
    """Said behind what failed: `{count}` is how many tasks that waited are dropped."""
    skills: Mapping[str, str]
    """What a robot is asked to do, for skills that every robot has, by their names: `{place}`, or `{x}` and `{y}`."""
    action: str
    """The same for any other skill: `{skill}` is its name."""
    action_at: str
    """The same at a place."""
    here: str
    """Stands for the place where the robot is; joined to the action."""
    shall_it: str
    """Asks whether it shall carry out a call."""
    read_back: str
    """Says what it is about to do."""
    then: str
    """Between one thing that it does and the next."""
    may_it_move: str
    """Asks whether a stop or a pause shall end."""
    confirmed: str
    """Answers the user's yes."""
    unchanged: str
    """Answers the user's no."""
    impossible: str
    """Answers a yes that came to nothing."""
    not_now: str
    """Says that a question cannot be asked now."""
    refused: str
    """Tells the model that a call was refused."""
    say_again: str
    """Said where a place was not the one that was meant, and nothing else is known."""
    go_to: str
    """Names places as a user does who sends a robot to one of them, for ears that are to know these words."""


class CommandPart(StrEnum):
    """What words are in a plain request to a robot."""

    SAID = "said"
    """Courtesies, articles: nothing is lost without them."""
    AUDIENCE = "audience"
    """For whom something is done: behind what is done, or a sentence tells of them."""
    OBJECT = "object"
    """The load, which nobody has to know more of."""
    GO = "go"
    CARRY = "carry"
    PICK = "pick"
    DROP = "drop"
    WAIT = "wait"
    AND = "and"
    """Before what is to be done next."""
    FIRST = "first"
    """In what is to be done first, anywhere."""
    LAST = "last"
    """As NEXT, before what is to be done last."""
    NEXT = "next"
    """The same, or right behind its verb: "geh dann in die Küche"."""
    OR = "or"
    THERE = "there"
    """The place that was named last."""
    HERE = "here"
    """Where the robot stands."""
    FROM = "from"
    """Before the place from which something is carried."""
    TO = "to"
    """Before a place to which somebody goes, or something is brought."""
    AT = "at"
    """Before a place at which something is or is done."""
    SHOW = "show"
    """Before a gesture."""
    SECONDS = "seconds"
    X = "x"
    Y = "y"


@dataclass(frozen=True, slots=True)
class CommandWords:
    """The words of plain requests to a robot: what holds no others is understood without a model."""

    phrases: Mapping[str, CommandPart]
    """By words in lower case; of those that begin alike, the longest counts."""
    skills: Mapping[str, str]
    """Other words for skills, where a robot has them."""
    sounds_like: Mapping[str, float]
    """Words that are heard for numbers, where only a number can stand."""
    places: Mapping[str, str] = field(default_factory=dict)
    """Names that need no preposition, where the map has such places: "home"; and other words for them: "nach hause"."""
    loaded: frozenset[str] = frozenset()
    """Verbs that name what is carried, too: "llévala"."""
    goes_at: bool = False
    """Whether one may be sent "at" or "in" a place, or "visits" it without a preposition."""


@dataclass(frozen=True, slots=True, eq=False)
class Language:
    """One language; equal only to itself."""

    code: str
    """As Whisper and ISO 639-1 have it, in lower case."""
    name: str
    """In English."""
    own_name: str
    """In the language itself."""
    read_aloud: Callable[[str], str]
    """Writes every number, sign and unit of a text as words, as they are read aloud."""
    numbers: NumberWords
    sentences: SentenceRules
    names: NameRules
    calendar: CalendarWords
    stops: StopWords
    listener: ListenerWords
    answers: AnswerWords
    places: PlaceWords
    replies: ReplySayings
    prompts: PromptWording
    corrections: CorrectionWords
    working: WorkingWords
    requests: RequestWords
    robot: RobotSayings
    commands: CommandWords | None = None
    """None: a model reads every request, and what it makes of one is asked."""
