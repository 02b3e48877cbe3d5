"""English."""

from __future__ import annotations

import re
from typing import Final

from languages.commands.english import COMMANDS
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
from languages.reading.english import read_aloud
from languages.sayings.english import SAYINGS

_UNITS: Final = {
    "zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16,
    "seventeen": 17, "eighteen": 18, "nineteen": 19,
}  # fmt: skip
_TENS: Final = {
    "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90,
}  # fmt: skip
_ORDINALS: Final = {
    "first": 1, "second": 2, "third": 3, "fifth": 5, "eighth": 8, "ninth": 9, "twelfth": 12,
    **{f"{word}th": value for word, value in _UNITS.items()},
    **{f"{word[:-1]}ieth": value for word, value in _TENS.items()},
}  # fmt: skip
_NUMBERS: Final = NumberWords(
    group=",",
    point=".",
    values={**_ORDINALS, **_TENS, **_UNITS},
    scales={"hundred": 100, "thousand": 1_000, "million": 1_000_000, "billion": 1_000_000_000},
    joins=frozenset({"and"}),
    points=frozenset({"point"}),
    minus=frozenset({"minus", "negative"}),
    multiples={"dozen": 12.0},
)
_SENTENCES: Final = SentenceRules(
    never_last=frozenset((
        "dr", "mr", "mrs", "ms", "prof", "st", "vs", "e.g", "i.e", "fig", "approx", "cf", "gen", "sen", "rev", "capt",
    )),
    maybe_last=frozenset((
        "a.m", "p.m", "am", "pm", "etc", "u.s", "u.k", "inc", "ltd", "co", "jr", "sr", "ft", "oz",
    )),
    letters=frozenset({"i"}),
    end=re.compile(
        r"(?<![0-9])(?<!\b[A-Za-z])(?<!\be\.g)(?<!\bi\.e)(?<!\b(?:Mr|Ms|Dr|St|vs))[.!?][\"')\]*]*(?=\s)"
    ),
    numbered_end=re.compile(r"(?<=[0-9])[.!?](?=\s+[A-Z])"),
    unfinished=frozenset((
        "a", "an", "the", "my", "your", "his", "her", "its", "our", "their", "this", "these", "those",
        "of", "in", "on", "at", "to", "for", "with", "from", "by", "about", "into", "than", "between", "without",
        "and", "or", "but", "because", "so", "if", "when", "while", "whether", "that", "which", "who", "where", "as",
        "is", "are", "was", "were", "um", "uh", "er", "well", "like",
    )),
    leading=frozenset((
        "and", "so", "but", "or", "because", "well", "then", "also", "if", "when", "while", "whenever", "unless",
        "although", "though", "since", "as", "after", "before", "until", "once", "whether", "whereas", "given",
        "suppose",
    )),
)  # fmt: skip
_NAMES: Final = NameRules(
    capitals=True,
    titles=frozenset(),
    calendar=frozenset((
        "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "january", "february", "march",
        "april", "june", "july", "august", "september", "october", "november", "december",
    )),
    free=frozenset({"i", "i'm", "i'll", "i've", "i'd", "ok", "okay", "am", "pm"}),
    possessive="'s",
)  # fmt: skip
_CALENDAR: Final = CalendarWords(
    weekdays=("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    months=(
        "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
        "December",
    ),
    halves=("am", "pm"),
    hours=frozenset({"hour", "hours", "hr", "hrs", "h"}),
    minutes=frozenset({"minute", "minutes", "min", "mins"}),
    now="It is {weekday}, {month} {day}, {year}, {hour12}:{minute} {half}.",
)  # fmt: skip
_STOPS: Final = StopWords(
    phrases=("stop", "halt", "freeze", "be quiet", "shut up"),
    alone=frozenset(),
    polite=frozenset((
        "please", "now", "can", "could", "would", "will", "you", "just", "no", "hey", "oh", "ok", "okay", "wait", "and",
    )),
    negated=frozenset({"dont", "not", "never", "doesnt", "wont", "didnt", "cant", "non"}),
    naming=frozenset({"the", "a", "an", "next", "last", "first", "every", "another", "bus", "full"}),
    telling=frozenset((
        "i", "ive", "we", "weve", "he", "hes", "she", "shes", "it", "its", "they", "theyve",
        "has", "have", "had", "hasnt", "havent", "hadnt",
    )),
)  # fmt: skip
_LISTENER: Final = ListenerWords(
    backchannels=(
        *("mm", "mhm", "mm-hm", "mm-hmm", "hm", "hmm", "uh-huh", "aha", "ah", "oh", "uh", "um", "huh", "yeah", "yep"),
        *("ok", "okay", "right", "yes", "sure", "i see", "got it", "go on"),
    ),
    asking=frozenset((
        *("what", "why", "who", "whom", "whose", "when", "where", "which", "how", "whats", "wheres", "hows"),
        *("stop", "wait", "hold", "hang", "no", "nope", "not", "dont", "cant", "but", "enough", "cancel", "never"),
        *("sorry", "pardon", "excuse", "hello", "help", "again", "repeat", "louder", "slower", "quiet", "please"),
        *("actually", "listen", "next", "back"),
    )),
    phantoms=frozenset((
        "you", "thank you", "thanks", "thanks for watching", "thank you for watching", "bye", "bye bye", "so", "okay",
        "oh",
    )),
)  # fmt: skip
_ANSWERS: Final = AnswerWords(
    yes=frozenset((
        "yes", "yeah", "yep", "yup", "aye", "sure", "sure thing", "of course", "certainly", "absolutely", "definitely",
        "affirmative", "by all means", "do it", "do that", "please do", "go ahead", "go ahead and do it", "go for it",
        "confirmed", "i confirm", "correct", "thats right", "that is right", "thats correct", "that is correct",
        "sounds good",
    )),
    beside_yes=frozenset((
        "do", "i do", "i am", "i am sure", "im sure", "it is", "right", "all right", "alright", "fine", "good",
        "great", "you may", "you can", "you should", "it may", "it can", "it should", "it shall", "he may", "she may",
        "go", "then",
    )),
    no=frozenset((
        "no", "nope", "nah", "negative", "not that", "not this", "not there", "not that one", "not this one", "wrong",
        "thats wrong", "that is wrong", "incorrect",
    )),
    withdrawn=frozenset((
        "wait", "wait a moment", "wait a minute", "wait a second", "hold on", "hold it", "hang on", "not now",
        "not yet", "cancel", "cancel it", "cancel that", "never mind", "nevermind", "forget it", "forget that",
        "forget about it", "leave it", "dont", "do not", "i dont", "i do not", "dont do it", "dont do that",
        "do not do it", "do not do that", "no way", "no thanks", "no thank you", "not at all", "of course not",
        "certainly not", "absolutely not", "definitely not", "better not", "rather not", "id rather not",
    )),
    resume=frozenset((
        "resume", "continue", "carry on", "go on", "keep going", "you may move", "you may move again", "move again",
        "you can move again", "resume the robot", "robot resume", "unpause", "resume driving",
    )),
    amends=frozenset({"i", "mean", "meant", "said", "say", "the", "to", "in", "go", "it", "is", "was", "yes", "no"}),
    polite=frozenset((
        "please", "ok", "okay", "now", "thanks", "thank you", "well", "robot", "sir", "maam", "oh", "uh", "um", "hey",
    )),
)  # fmt: skip
_PLACES: Final = PlaceWords(
    before=frozenset((
        "to", "at", "in", "into", "from", "the", "via", "past", "towards", "toward", "near", "by",
        "go", "drive", "come", "head", "get", "return", "back", "over",
    )),
    after=frozenset((
        "and", "then", "please", "now", "first", "next", "second", "last", "again", "before", "after", "afterwards",
        "for",
    )),
    calls=frozenset({"hello", "hallo", "hey", "hi", "well", "oh", "ah", "so", "or", "do", "you", "right"}),
    there=frozenset({"there"}),
    there_is=frozenset({"is", "are", "was", "were", "will"}),
    over_there=frozenset({"over", "out", "is", "are"}),
    sounds=(
        *((r"^kn", "n"), (r"^wh(?=o)", "h"), (r"^wr", "r"), ("ph", "f"), ("gh", ""), ("tch|ch", "C"), ("sh", "S")),
        *(("th", "T"), ("ck|q", "k"), ("c(?=[eiy])", "s"), ("c", "k"), ("x", "ks"), ("z", "s"), (r"(?<=.)e$", "")),
        *(("[eiy]+[aeiouy]*", "E"), ("[aou]+[aeiouwy]*", "O"), (r"(.)\1+", r"\1")),
    ),
    one="the {}",
    inside="in the {}",
    meant="Do you mean {}?",
    where="Where do you mean: {}?",
    both=" and ",
    either=" or ",
)  # fmt: skip
_REPLIES: Final = ReplySayings(
    fillers=("Well,", "Let me see.", "Let me work that out.", "One moment, I'm still working on it."),
    statuses=(
        "My answer isn't ready yet.",
        "This takes longer than usual.",
        "You'll hear it once I have it.",
        "I'm still here, and still at it.",
    ),
    elapsed="That's about {} seconds so far.",
    repair="Sorry, that was wrong.",
    doubt="I'm not quite sure of that, though.",
    no_answer="I'm sorry, I could not work that out.",
    acted="I'm on it.",
    declined="I'm sorry, I can't do that.",
    hello="Hello.",
    go_on="Go on.",
)
_PROMPTS: Final = PromptWording(
    system="You are a helpful voice assistant. You speak in short, plain sentences, without lists, symbols or markup.",
    identity=(
        "You are Descant, an AI voice assistant, not a human, made by the Descant project and no company. "
        "You answer questions, work things out, and help to plan. You speak English."
    ),
    limits="You cannot see me, and know of me only what I told you; where that leaves open what I mean, ask.",
    think_request=(
        "\n(First work it out privately. Write one short calculation per line, nothing else. End with the answer.)"
    ),
    work_open="Working, one short calculation per line:\n",
    resume_open="Now I was told something more. With that, one short calculation per line:\n",
    notes_request=(
        "\n(First think it through for yourself, step by step, in a few short sentences. End with your answer.)"
    ),
    notes_open="Let me think step by step.",
    notes_resume_open="I was told something more just now. Let me think on.",
    answer_request="\n(Answer at once, in one short sentence.)",
    step_request="Read the last finished step above aloud to me, in plain spoken words.",
    result_request="Now tell me your final answer in one short spoken sentence.",
    need_question="\n\n(Before you answer: do you have to compute something? Answer only yes or no.)",
    # Small talk gives -0.8 to 0.7, problems 1.2 to 2.3; some problems with few words and two numbers give 0.6 to 1.
    need_bias=0.95,
    need_of_numbers=0.45,
    need_bias_with_tools=0.4,
    kind_question=(
        "\n\n(Before you answer: what kind of question is this? Answer in one word: chat, fact, advice, calculation, "
        "or puzzle.)"
    ),
    # Talk, facts and advice give -4.8 to -2.1, comparisons -3.5 to -1.5, problems -1.9 and more.
    kind_bias=-1.5,
    # Puzzles give up to 0.1, sums in plain signs 0.4 and more.
    kind_clear=1.7,
    reasoned=("calculation", "Calculation", " calculation", "puzzle", "Puzzle", " puzzle"),
    told=("chat", "Chat", " chat", "fact", "Fact", " fact", "advice", "Advice", " advice"),
    force_answer="\nAnswer:",
    yes=("Yes", "yes", " Yes", " yes"),
    no=("No", "no", " No", " no"),
    # What is not so gives up to 1.5, what is so 1.7 and more, but for two of eleven.
    yes_bias=1.6,
    act_request="Now do what I asked for.",
    acted_request=(
        "You are beginning to do this now, none of it is done yet:\n{calls}\n"
        "Tell me in one short spoken sentence what you are doing. Begin with: I am"
    ),
    note_request="\n(Tell me this news in one short sentence.)",
    meant="(So: {})",
    found_request="Tell me in one short spoken sentence, in words of your own, what you have found out so far.",
)
_CORRECTIONS: Final = CorrectionWords(
    negated=re.compile(r"\b(?:not|instead of|rather than)\s+", re.IGNORECASE),
    adds=re.compile(r"\b(?:more|another|extra|additional|as well)\b", re.IGNORECASE),
    says_nothing=frozenset((
        "a", "an", "the", "of", "in", "on", "at", "to", "for", "with", "or", "but", "is", "are", "was", "were", "be",
        "it", "its", "he", "she", "they", "i", "you", "we", "my", "his", "her", "their", "that", "this", "no", "not",
        "sorry", "wait", "actually", "oh", "mean", "meant", "said", "say", "make", "about", "from", "by", "there",
        "one", "how", "many", "much", "what", "do", "does", "did", "have", "has", "had", "so", "if", "only", "just",
        "now", "instead",
    )),
    joins=frozenset({"and", "then"}),
    endings=re.compile(r"(?:ies|es|s|ed|ing|y|e)$"),
    money=((re.compile(r"\$(\d[\d,]*(?:\.\d+)?)"), r"\1 dollars"),),
    result=re.compile(
        r"(?:=|\b(?:is|are|was|equals|makes|leaves|gives)\b)(?!.*(?:=|\b(?:is|are|was|equals)\b))"
    ),
)  # fmt: skip
_WORKING: Final = WorkingWords(
    list_mark=re.compile(r"^\W*(?:step\s+)?\d{1,2}[.):]\s*", re.IGNORECASE),
    numbered=re.compile(r"^\W*(?:step\s+)?\d{1,2}[.):]\s+", re.IGNORECASE),
    announces=re.compile(
        r"^\W*(?:(?:let's|let us|we|i|first|next|then|now|finally|need to|have to|must|will),?\s+)*"
        r"(?:add|calculate|check|combine|compare|compute|consider|convert|count|determine|divide|figure|find|identify|"
        r"look|multiply|recall|start|subtract|sum|think|use|work)\b",
        re.IGNORECASE,
    ),
    answer=re.compile(r"^(?:final\s+)?(?:answer|result)\s*(?::|=|is\b)\s*", re.IGNORECASE),
    answer_in=re.compile(r"\b(?:answer|result)\s*(?:is\b|:|=)", re.IGNORECASE),
    closes=re.compile(r"^(?:so|thus|therefore|hence|then|now|finally|next),?\s+", re.IGNORECASE),
    doubt=re.compile(r"^\W*(?:(?:wait|no|oh|sorry|actually|correction|hmm)\b[,:.!]*\s*)+", re.IGNORECASE),
    claim=re.compile(r"\b(?:answer|result|conclusion|final)\b", re.IGNORECASE),
    steps=re.compile(r"\bsteps?\b", re.IGNORECASE),
    signs=(
        (re.compile(r"(?<=[\w)%°])\s*[*×·]\s*"), " times "),
        (re.compile(r"(?<=\d)\s+x\s+(?=\d)"), " times "),
        (re.compile(r"(?<=[A-Za-z])/(?=[A-Za-z])"), " per "),
        (re.compile(r"(?<=[\w)%°])\s*[/÷]\s*"), " divided by "),
        (re.compile(r"(?<=[\w)%°])\s*\+\s*"), " plus "),
        (re.compile(r"(?<=[\w)%°])\s+[-−–]\s*|(?<=\d)[-−–](?=\d)"), " minus "),
        (re.compile(r"(?:(?<=\s)|^)[-−–](?=\w)"), "minus "),
    ),
    operations=frozenset({"times", "plus", "minus", "divided"}),
    either_way=frozenset({"times", "plus"}),
    verb=" is ",
    the_answer="The answer is {}",
    called=re.compile(r"The answer is ((?:(?!\bis\b).)+)\."),
    plural=re.compile(r"s$"),
    quantity=re.compile(
        r"(?:minus |about )?(?!.*\b(?:plus|minus|times|divided)\b)[$€£]?[\d,]*\.?\d+(?:%|°)?(?: [a-z0-9]+){0,6}",
        re.IGNORECASE,
    ),
)
_REQUESTS: Final = RequestWords(
    negated=re.compile(r"\b(not|never|no|without|except|instead|rather than)\b|n['’]t\b", re.IGNORECASE),
    turns=re.compile(
        r"\b(before|after|until|first|last|finally|via|way|past|through|from)\b|\w +once\b", re.IGNORECASE
    ),
    equals=r"\s*(?:is|equals|=|:|-)?\s*(\d+(?:\.\d+)?)",
    spelled=re.compile(
        r"\b((?:number|code|account|ID|PIN) +(?:(?:is) +)?)(\d(?:(?:, ?|-| )\d){3,})(?!\d|[,.-] ?\d)", re.IGNORECASE
    ),
)

ENGLISH: Final = Language(
    code="en",
    name="English",
    own_name="English",
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
LANGUAGE: Final = ENGLISH
