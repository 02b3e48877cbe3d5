"""Spanish."""

from __future__ import annotations

import re
from typing import Final

from languages.commands.spanish import COMMANDS
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
from languages.reading.spanish import read_aloud
from languages.sayings.spanish import SAYINGS

_UNITS: Final = {
    "cero": 0, "uno": 1, "dos": 2, "tres": 3, "cuatro": 4, "cinco": 5, "seis": 6, "siete": 7, "ocho": 8, "nueve": 9,
    "diez": 10, "once": 11, "doce": 12, "trece": 13, "catorce": 14, "quince": 15, "dieciséis": 16, "dieciseis": 16,
    "diecisiete": 17, "dieciocho": 18, "diecinueve": 19,
}  # fmt: skip
_TENS: Final = {
    "veinte": 20, "treinta": 30, "cuarenta": 40, "cincuenta": 50, "sesenta": 60, "setenta": 70, "ochenta": 80,
    "noventa": 90, "veintiuno": 21, "veintiuna": 21, "veintiún": 21, "veintidós": 22, "veintidos": 22,
    "veintitrés": 23, "veintitres": 23, "veinticuatro": 24, "veinticinco": 25, "veintiséis": 26, "veintiseis": 26,
    "veintisiete": 27, "veintiocho": 28, "veintinueve": 29,
}  # fmt: skip
_HUNDREDS: Final = {
    "cien": 100, "ciento": 100,
    **{
        f"{stem}ient{ending}s": value
        for stem, value in {"dosc": 200, "tresc": 300, "cuatroc": 400, "seisc": 600, "ochoc": 800}.items()
        for ending in "oa"
    },
    **{
        f"{stem}cient{ending}s": value for stem, value in {"sete": 700, "nove": 900}.items() for ending in "oa"
    },
    "quinientos": 500, "quinientas": 500,
}  # fmt: skip
_ORDINALS: Final = {
    f"{stem}{ending}": value
    for stem, value in {
        "primer": 1, "segund": 2, "tercer": 3, "cuart": 4, "quint": 5, "sext": 6, "séptim": 7, "octav": 8, "noven": 9,
        "décim": 10,
    }.items()
    for ending in ("o", "a", "os", "as")
}  # fmt: skip
_NUMBERS: Final = NumberWords(
    group=".",
    point=",",
    values={**_ORDINALS, "primer": 1, "tercer": 3, **_HUNDREDS, **_TENS, **_UNITS},
    scales={"mil": 1_000, "millón": 1_000_000, "millon": 1_000_000, "millones": 1_000_000},
    joins=frozenset({"y"}),
    points=frozenset({"coma", "punto"}),
    minus=frozenset({"menos"}),
    article={"un": 1, "una": 1},
    inner={"un": 1, "una": 1},
    multiples={"docena": 12.0},
    loose=True,
)
_SENTENCES: Final = SentenceRules(
    never_last=frozenset((
        "sr", "sra", "srta", "dr", "dra", "ud", "uds", "núm", "pág", "ej", "p.ej", "aprox", "vs", "av", "prof",
    )),
    maybe_last=frozenset({"etc", "a.m", "p.m", "ee.uu", "s.a", "jr"}),
    letters=frozenset({"y", "o", "a", "e", "u"}),
    end=re.compile(
        r"(?<![0-9])(?<!\b[A-Za-zÁÉÍÓÚÑáéíóúñ])(?<!\bp\.ej)(?<!\b(?:Sr|Dr|Ud|vs|Av))(?<!\b(?:Sra|Dra|núm|pág))"
        r"[.!?][\"”»')\]*]*(?=\s)"
    ),
    numbered_end=re.compile(r"(?<=[0-9])[.!?](?=\s+[¿¡]?[A-ZÁÉÍÓÚÑ])"),
    unfinished=frozenset((
        "el", "la", "los", "las", "un", "una", "unos", "unas", "mi", "tu", "su", "nuestro", "nuestra", "este", "esta",
        "estos", "estas", "de", "del", "en", "a", "al", "para", "por", "con", "sin", "desde", "hasta", "sobre", "entre",
        "hacia", "y", "o", "pero", "porque", "si", "cuando", "mientras", "que", "como", "donde", "es", "son", "era",
        "eh", "este", "pues", "bueno", "más", "muy",
    )),
    leading=frozenset((
        "y", "así", "pero", "o", "porque", "bueno", "pues", "entonces", "también", "si", "cuando", "mientras", "aunque",
        "como", "desde", "después", "antes", "hasta", "apenas", "supongamos",
    )),
)  # fmt: skip
_NAMES: Final = NameRules(
    capitals=True,
    titles=frozenset(),
    calendar=frozenset((
        "lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo", "enero", "febrero", "marzo", "abril",
        "mayo", "junio", "julio", "agosto", "septiembre", "octubre", "noviembre", "diciembre",
    )),
    free=frozenset({"ok", "okay", "usted", "ustedes", "sr", "sra", "dios"}),
    possessive="'s",
)  # fmt: skip
_CALENDAR: Final = CalendarWords(
    weekdays=("lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo"),
    months=(
        "enero", "febrero", "marzo", "abril", "mayo", "junio", "julio", "agosto", "septiembre", "octubre",
        "noviembre", "diciembre",
    ),
    halves=("", ""),
    hours=frozenset({"hora", "horas", "h"}),
    minutes=frozenset({"minuto", "minutos", "min"}),
    now="Hoy es {weekday}, {day} de {month} de {year}, y son las {hour}:{minute}.",
)  # fmt: skip
_STOPS: Final = StopWords(
    phrases=(
        *("para", "alto", "stop", "basta", "detente", "párate", "deténgase", "pare", "para ya", "para el robot"),
        *("para robot", "robot para", "robot alto", "cállate", "silencio"),
    ),
    alone=frozenset({"para", "alto", "basta", "silencio"}),
    polite=frozenset((
        "por", "favor", "ya", "ahora", "oye", "eh", "vale", "no", "puedes", "podrías", "bueno",
    )),
    negated=frozenset({"nunca", "jamás", "sin"}),
    naming=frozenset({"el", "la", "los", "las", "un", "una", "del", "al", "próxima", "próximo", "última", "último"}),
    telling=frozenset({"se", "yo", "ella", "ellos", "ellas", "nos", "ha", "había"}),
)  # fmt: skip
_LISTENER: Final = ListenerWords(
    backchannels=(
        *("mm", "mhm", "hm", "ajá", "aja", "ah", "oh", "eh", "sí", "si", "ok", "okay", "okey", "vale", "claro"),
        *("claro que sí", "por supuesto", "ya", "ya veo", "entiendo", "entendido", "bueno", "bien", "muy bien", "eso"),
        *("eso es", "así es", "exacto", "exactamente", "correcto", "cierto", "perfecto", "de acuerdo", "desde luego"),
    ),
    asking=frozenset((
        *("qué", "que", "por", "quién", "quien", "cuándo", "cuando", "dónde", "donde", "cuál", "cual", "cómo", "como"),
        *("cuánto", "cuántos", "cuánta", "cuántas", "cuanto", "cuantos", "para", "espera", "espere", "no", "pero"),
        *("nunca", "basta", "cancela", "cancelar", "perdón", "perdona", "perdone", "disculpa", "hola", "ayuda", "oye"),
        *("momento", "otra", "repite", "repita", "silencio", "alto", "atrás"),
    )),
    phantoms=frozenset((
        "gracias", "muchas gracias", "gracias por ver el video", "gracias por ver el vídeo", "adiós", "chao",
        "subtítulos realizados por la comunidad de amaraorg", "subtítulos por la comunidad de amaraorg", "suscríbete",
    )),
)  # fmt: skip
_ANSWERS: Final = AnswerWords(
    yes=frozenset((
        "sí", "si", "claro", "claro que sí", "claro que si", "por supuesto", "desde luego", "correcto", "es correcto",
        "confirmado", "confirmo", "hazlo", "hágalo", "adelante", "exacto", "de acuerdo", "así es", "eso es", "sin duda",
        "afirmativo", "está bien", "dale",
    )),
    beside_yes=frozenset((
        "señor", "señora", "puede", "puedes", "puede hacerlo", "puedes hacerlo", "que lo haga", "que sí", "que vaya",
        "ve",
    )),
    no=frozenset((
        "no", "que no", "ahí no", "allí no", "allá no", "no ahí", "no allí", "eso no", "no eso", "así no",
        "no es correcto", "incorrecto", "negativo",
    )),
    withdrawn=frozenset((
        "espera", "espere", "espera un momento", "un momento", "cancela", "cancelar", "olvídalo", "olvidalo", "déjalo",
        "dejalo", "ahora no", "no ahora", "todavía no", "aún no", "de ninguna manera", "mejor no", "no gracias",
        "claro que no", "por supuesto que no", "desde luego que no", "para nada", "en absoluto", "no lo hagas",
        "no hagas eso",
    )),
    resume=frozenset((
        "sigue", "continúa", "continua", "continuar", "sigue adelante", "puedes seguir", "puedes continuar", "reanuda",
        "reanudar", "puedes moverte",
    )),
    amends=frozenset((
        "quise", "decir", "quiero", "quería", "dije", "digo", "la", "el", "a", "al", "en", "es", "era", "sí", "si",
        "no", "sino", "ve",
    )),
    polite=frozenset((
        "por", "favor", "gracias", "muchas gracias", "vale", "ok", "okay", "bueno", "bien", "robot", "ahora", "pues",
        "oye",
    )),
)  # fmt: skip
_PLACES: Final = PlaceWords(
    before=frozenset((
        "a", "al", "en", "de", "del", "desde", "hasta", "hacia", "por", "para", "la", "el", "los", "las", "ve", "vete",
        "ven", "anda", "conduce", "vuelve",
    )),
    after=frozenset((
        "y", "luego", "después", "por", "ahora", "primero", "antes", "otra", "de", "para", "entonces",
    )),
    calls=frozenset({"hola", "oye", "eh", "bueno", "pues", "ah", "oh", "o", "tú", "sí", "vale"}),
    there=frozenset({"allí", "allá", "ahí"}),
    there_is=frozenset({"está", "están", "hay", "es", "son"}),
    over_there=frozenset({"por", "está", "hay"}),
    sounds=(
        *(("ll|y", "Y"), ("ch", "C"), ("v", "b"), ("h", ""), ("qu", "k"), ("gu(?=[eiéí])", "g"), ("c(?=[eiéí])", "s")),
        *(("z", "s"), ("c", "k"), ("g(?=[eiéí])|j", "J"), ("x", "ks"), ("[eiéí]+", "E"), ("[aouáóúü]+", "O")),
        (r"(.)\1+", r"\1"),
    ),
    one="{}",
    inside="en {}",
    meant="¿Quieres decir {}?",
    where="¿Adónde exactamente: {}?",
    both=" y ",
    either=" o ",
)  # fmt: skip
_REPLIES: Final = ReplySayings(
    fillers=("Bueno,", "A ver.", "Déjame calcularlo.", "Espera, todavía lo estoy pensando."),
    statuses=(
        "Mi respuesta aún no está lista.",
        "Esto tarda más de lo normal.",
        "Te la digo en cuanto la tenga.",
        "Sigo aquí, y sigo en ello.",
    ),
    elapsed="Ya son unos {} segundos.",
    repair="Perdón, eso estaba mal.",
    doubt="Aunque no lo sé con certeza.",
    no_answer="Lo siento, no he podido averiguarlo.",
    acted="Estoy en ello.",
    declined="Lo siento, eso no lo puedo hacer.",
    hello="Hola.",
    go_on="Sigue.",
)
_PROMPTS: Final = PromptWording(
    system=(
        "Eres un asistente de voz servicial. Hablas español, con frases cortas y sencillas, sin listas, símbolos ni "
        "formato."
    ),
    identity=(
        "Eres Descant, un asistente de voz de IA, no un ser humano, hecho por el proyecto Descant y por ninguna "
        "empresa. Respondes preguntas, haces cálculos y ayudas a planear. Hablas español."
    ),
    limits=("No puedes verme, y de mí solo sabes lo que te he dicho; si eso no deja claro lo que quiero, pregunta."),
    think_request=(
        "\n(Primero calcúlalo para ti. Escribe un cálculo corto por línea, nada más. Termina con la respuesta.)"
    ),
    work_open="Cálculos, un cálculo corto por línea:\n",
    resume_open="Ahora me han dicho algo más. Con eso, un cálculo corto por línea:\n",
    notes_request=("\n(Primero piénsalo para ti, paso a paso, en unas pocas frases cortas. Termina con tu respuesta.)"),
    notes_open="Pienso paso a paso.",
    notes_resume_open="Acaban de decirme algo más. Sigo pensando.",
    answer_request="\n(Responde enseguida en español, con una sola frase corta.)",
    step_request="Léeme en español el último paso terminado de arriba, con palabras sencillas.",
    result_request="Ahora dime tu respuesta final en español, con una sola frase corta.",
    # Small talk and facts give -0.8 to -0.2, problems 0.5 to 2.3.
    need_question="\n\n(Antes de responder: ¿tienes que calcular algo? Responde solo sí o no.)",
    need_bias=0.15,
    need_of_numbers=0.45,
    need_bias_with_tools=-0.4,
    # Nobody has measured it in this language: what is no sum is answered at once.
    kind_question="",
    kind_bias=0.0,
    kind_clear=0.0,
    reasoned=(),
    told=(),
    force_answer="\nRespuesta:",
    # "Sí" begins with a token of its own in many vocabularies.
    yes=("Sí", "sí", "S", "s", "Si", "si"),
    no=("No", "no"),
    yes_bias=0.0,
    act_request="Ahora haz lo que te he pedido.",
    acted_request=(
        "Estás empezando esto ahora, nada está hecho todavía:\n{calls}\n"
        "Dime en español, con una sola frase corta, qué estás haciendo. Empieza con: Estoy"
    ),
    note_request="\n(Cuéntame esta novedad en español, con una sola frase corta.)",
    meant="(Entonces: {})",
    found_request="Dime en una frase corta y hablada, con tus propias palabras, qué has averiguado hasta ahora.",
)
_CORRECTIONS: Final = CorrectionWords(
    negated=re.compile(r"\b(?:y no|en vez de|en lugar de|no)\s+", re.IGNORECASE),
    adds=re.compile(r"\b(?:más|otro|otra|otros|otras|adicional|adicionales|además|también)\b", re.IGNORECASE),
    says_nothing=frozenset((
        "el", "la", "los", "las", "un", "una", "unos", "unas", "de", "del", "en", "a", "al", "para", "por", "con", "o",
        "pero", "es", "son", "era", "eran", "ser", "lo", "él", "ella", "ellos", "yo", "tú", "nosotros", "mi", "su",
        "que", "este", "esta", "no", "perdón", "perdona", "espera", "oh", "digo", "dije", "decir", "quise", "quería",
        "sobre", "desde", "uno", "cómo", "cuánto", "cuántos", "cuánta", "cuántas", "qué", "hace", "tiene", "tienen",
        "si", "solo", "ahora", "sino", "cada", "realidad", "me", "te", "se", "le", "nos", "ha", "he", "hay", "mucho",
        "gracias", "hola", "cuál", "quién", "está", "estás", "y",
    )),
    joins=frozenset({"y", "luego"}),
    endings=re.compile(r"(?:es|os|as|s|o|a|e)$"),
    money=((re.compile(r"(\d[\d.]*(?:,\d+)?) ?€"), r"\1 euros"), (re.compile(r"\$ ?(\d[\d.,]*\d|\d)"), r"\1 dólares")),
    result=re.compile(
        r"(?:=|\b(?:es|son|era|eran|da|hacen|quedan|cuesta|cuestan)\b)(?!.*(?:=|\b(?:es|son|era|da)\b))"
    ),
)  # fmt: skip
_WORKING: Final = WorkingWords(
    list_mark=re.compile(r"^\W*(?:paso\s+)?\d{1,2}[.):]\s*", re.IGNORECASE),
    numbered=re.compile(r"^\W*(?:paso\s+)?\d{1,2}[.):]\s+", re.IGNORECASE),
    announces=re.compile(
        r"^\W*(?:(?:primero|luego|después|ahora|entonces|finalmente|vamos a|hay que|debemos|tengo que|voy a),?\s+)*"
        r"(?:calcul|sum|rest|multiplic|divid|determin|encontr|encuentr|busc|compar|consider|convert|convier|cont|"
        r"cuent|revis|piens|us)(?:a|ar|e|er|ir|o|amos|emos|imos|aremos)\b",
        re.IGNORECASE,
    ),
    answer=re.compile(
        r"^(?:(?:la|el)\s+)?(?:respuesta|resultado|solución)(?:\s+final)?\s*(?::|=|es\b)\s*", re.IGNORECASE
    ),
    answer_in=re.compile(r"\b(?:respuesta|resultado|solución)(?:\s+final)?\s*(?:es\b|:|=)", re.IGNORECASE),
    closes=re.compile(
        r"^(?:así que|por lo tanto|por tanto|entonces|luego|ahora|finalmente|después),?\s+", re.IGNORECASE
    ),
    doubt=re.compile(r"^\W*(?:(?:espera|no|oh|perdón|en realidad|corrección|hm|hmm)\b[,:.!]*\s*)+", re.IGNORECASE),
    claim=re.compile(r"\b(?:respuesta|resultado|solución|conclusión|final)\b", re.IGNORECASE),
    steps=re.compile(r"\bpasos?\b", re.IGNORECASE),
    signs=(
        (re.compile(r"(?<=[\w)%°€])\s*[*×·]\s*"), " por "),
        (re.compile(r"(?<=\d)\s+x\s+(?=\d)"), " por "),
        (re.compile(r"(?<=[^\W\d_])/(?=[^\W\d_])"), " por "),
        (re.compile(r"(?<=[\w)%°€])\s*[/÷]\s*"), " entre "),
        (re.compile(r"(?<=[\w)%°€])\s*\+\s*"), " más "),
        (re.compile(r"(?<=[\w)%°€])\s+[-−–]\s*|(?<=\d)[-−–](?=\d)"), " menos "),
        (re.compile(r"(?:(?<=\s)|^)[-−–](?=\w)"), "menos "),
    ),
    operations=frozenset({"por", "más", "menos", "entre"}),
    either_way=frozenset({"por", "más"}),
    verb=" es ",
    the_answer="La respuesta es {}",
    called=re.compile(r"La respuesta es ((?:(?!\bes\b).)+)\."),
    plural=re.compile(r"s$"),
    quantity=re.compile(
        r"(?:menos |unos |unas )?(?!.*\b(?:por|más|menos|entre)\b)[$€£]?[\d.,]*\d+ ?(?:%|°|€|\$)?"
        r"(?: [a-záéíóúñü0-9]+){0,6}",
        re.IGNORECASE,
    ),
)
_REQUESTS: Final = RequestWords(
    negated=re.compile(r"\b(no|nunca|sin|excepto|menos|salvo|en vez de|en lugar de)\b", re.IGNORECASE),
    turns=re.compile(
        r"\b(antes|después|luego de|hasta|primero|último|finalmente|por|a través|desde|cuando)\b", re.IGNORECASE
    ),
    equals=r"\s*(?:es|igual a|=|:|-)?\s*(\d+(?:[.,]\d+)?)",
    spelled=re.compile(
        r"\b((?:número|código|cuenta|PIN) +(?:(?:es) +)?)(\d(?:(?:, ?|-| )\d){3,})(?!\d|[,.-] ?\d)", re.IGNORECASE
    ),
)

LANGUAGE: Final = Language(
    code="es",
    name="Spanish",
    own_name="español",
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
