"""Settings of this room, each with its unit and reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final, Literal

from descant.ranges import Range
from reasoning.engine.cores import usual_threads

Mode = Literal["async", "think-first", "no-think"]
"""How thinking and speaking are ordered: at the same time, one after the other, or speaking only."""

_LONGEST_PERSONA: Final = 2000
BESIDE_TOKENS: Final = 256
"""Tokens of a view that are for nobody to spend: what is written around thoughts and replies."""
_MOST_TOKENS: Final = 1 << 17
_OF_TOKENS: Final = "nothing is said in none, and no context that is at hand holds more"
PolicyName = Literal["auto", "sums", "plain", "published"]
"""How to think of a question, and what of it is said: see docs/policies.md."""


BudgetName = Literal["fixed", "frugal", "generous"]
"""How long thoughts may be: docs/costs.md."""


Listening = Literal["off", "questions", "heads", "thoughts"]
"""What is done while the user speaks."""


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """What the language model runs on."""

    kind: Literal["torch", "vllm"] = "torch"
    """`torch` is the embedded engine; `vllm` leaves the model to servers, see the group `vllm`."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where it computes; auto: a graphics processor that torch can use, else the processor. Not run on CUDA or MPS."""
    threads: Annotated[
        int,
        Range(1, 1024, "somebody has to compute, and no machine has more cores"),
    ] = field(default_factory=usual_threads)
    """Threads of a step: one for each physical core that this process may use, eight at most. More make it slower."""
    prefill_rows: Annotated[int, Range(1, 4096, "text is read by at least one row, and no step holds more")] = 8
    """Rows of waiting text in a step that a stream waits for: more are read sooner, and hold the streams up longer."""
    context: Annotated[int, Range(512, 1048576, "fewer hold no question, and no model was trained on more")] = 8192
    """Tokens that one view may hold; each costs 28 kB with the default model."""
    native: Literal["auto", "off", "require", "generic", "avx2", "avx-vnni", "avx512-vnni", "neon"] = "auto"
    """Kernels in C, from the package or compiled at first start: the best to be had, none, or those that are named;
    where they cannot be had, `auto` goes on without, the others fail."""
    drafts: Literal["auto", "off"] = "auto"
    """Guess tokens from the text before, and check them in rows that a step has to spare; the tokens stay the same."""


@dataclass(frozen=True, slots=True)
class VllmOptions:
    """Language model servers (vLLM), in place of the embedded engine."""

    servers: tuple[str, ...] = ()
    """Their addresses, as http://127.0.0.1:8000; several serve the same model, and stand in for each other."""
    api_key_file: Path | None = None
    """File whose first line is the servers' key."""
    model: str = ""
    """The name under which the model is served; empty: the first that the server lists."""
    segment_tokens: Annotated[
        int,
        Range(1, 4096, "a stream writes at least one, and would follow no thoughts with more"),
    ] = 16
    """Tokens that a stream writes until it reads what others wrote meanwhile. Fewer follow the thoughts more closely;
    each segment costs a round trip, and what the server's cache does not hold of the new text."""
    priorities: bool = True
    """Let short requests overtake long ones, where the server was started with `--scheduling-policy priority`."""
    live_views: bool = True
    """Let writers read thoughts while they grow, where the servers have live views; else they are re-submitted."""
    connect_s: Annotated[float, Range(0.01, 600.0, "a connection takes time, and nobody waits that long for one")] = 2.0
    """Seconds until a server that does not take a connection counts as failed."""
    stall_s: Annotated[float, Range(0.1, 3600.0, "a token takes time, and after an hour none comes")] = 20.0
    """Seconds without a token until a request counts as failed; a long prompt on a busy server takes some."""
    patience_s: Annotated[float, Range(0.0, 86400.0, "after a day nobody waits for an answer")] = 90.0
    """Seconds for which failed requests are tried again, at any server; a server takes half a minute to start."""
    health_s: Annotated[float, Range(0.1, 3600.0, "more often is load, and less often finds no failure")] = 5.0
    """Seconds between two looks at a server's health."""


@dataclass(frozen=True, slots=True)
class LoopOptions:
    """The asynchronous loop: when to think, when to speak, when to stop."""

    mode: Mode = "async"
    """`async` thinks and speaks at the same time; `think-first` and `no-think` are there to compare with."""
    policy: PolicyName = "auto"
    """How to think: `sums` in lines of calculation that are read out, where there is something to compute; `plain` in
    notes that are never read out, about everything; `auto` asks the model which of them a question takes, if any.
    `published` is there to compare with."""
    persona: str = ""
    """Who the assistant is and how it speaks, in your words: stands behind the instructions that every conversation
    begins with; at most 2000 characters."""
    direct_replies: bool = True
    """Answer small talk and plain facts at once, when a probe says that nothing has to be worked out."""
    listening: Listening = "questions"
    """What is done while the user speaks: `questions` reads ahead the questions about the words that choose a policy,
    `heads` the request for thoughts as well, which changes some of the thoughts; `thoughts` thinks about half a
    question instead, which changes none and spares steps where drafts are computed; `off` does nothing."""
    think_tokens: Annotated[int, Range(1, _MOST_TOKENS, _OF_TOKENS)] = 320
    """Tokens the thinker may spend on a turn before it must conclude; a model's profile may name others."""
    budget: BudgetName = "fixed"
    """How many of them it may: `fixed` all; with `frugal` and `generous` so many as right answers are worth by what
    thinking brings for a kind of question, and by the price of the hour (`costs.site`)."""
    least_think_tokens: Annotated[int, Range(1, _MOST_TOKENS, _OF_TOKENS)] = 128
    """What `loop.budget` leaves of them in any case."""
    stretch_tokens: Annotated[int, Range(1, _MOST_TOKENS, _OF_TOKENS)] = 512
    """Tokens of a stretch of thoughts. Of longer ones the writer reads the newest two stretches and what each of those
    before came to."""
    reply_tokens: Annotated[int, Range(1, _MOST_TOKENS, _OF_TOKENS)] = 240
    """Tokens the writer may spend on a turn before it must conclude."""
    sentence_tokens: Annotated[int, Range(1, _MOST_TOKENS, _OF_TOKENS)] = 48
    """Tokens of one spoken sentence; a longer one is cut at its last clause."""
    turn_s: Annotated[float, Range(1.0, 3600.0, "in less nothing can be said, and after an hour nobody listens")] = 60.0
    """Seconds after the end of the user's turn until the reply must conclude."""
    filler_after_s: Annotated[float, Range(0.0, 3600.0, "no time is negative; an hour is never")] = 1.1
    """Seconds after the last word until a filler is said, when there is nothing to say yet."""
    filler_again_s: Annotated[float, Range(0.0, 3600.0, "no time is negative; an hour is never")] = 0.85
    """Seconds of silence inside a reply until another filler is said, behind the pause that a sentence ends with
    (`voice.sentence_ms`). With both, a tick of the clock and soft edges of sounds a listener hears 1.2 s at most."""
    fillers: Annotated[int, Range(0, 2, "a third would say nothing that the second has not said")] = 2
    """Fillers that may come one after the other with nothing between, 0 to 2; then it is told how things stand. With 0
    waits are silent."""
    lead_s: Annotated[
        float,
        Range(0.0, 60.0, "no time is negative, and what is written a minute ahead is late for every correction"),
    ] = 1.2
    """Have the next sentence when less than this is left to play: late thoughts still change what is said. One that
    has to be written is begun sooner, by what the last one took."""
    temperature: Annotated[
        float | None,
        Range(0.0, 5.0, "beyond, all tokens are as likely, and nothing makes sense"),
    ] = None
    """How freely thoughts and sentences are drawn: 0 takes the likeliest token each time; calls always do. This and the
    next three are the model profile's where they are not set (`docs/models.md`); without one all is greedy."""
    top_p: Annotated[float | None, Range(0.001, 1.0, "it is a share, and of nothing nothing can be drawn")] = None
    """Share of the probability that the tokens to draw from hold, the likeliest first (1: all)."""
    top_k: Annotated[int | None, Range(0, _MOST_TOKENS, "no vocabulary has more; 0 is all")] = None
    """Likeliest tokens to draw from (0: all)."""
    min_p: Annotated[float | None, Range(0.0, 1.0, "it is a fraction of the likeliest")] = None
    """Draw no token less likely than this fraction of the likeliest one."""
    act_margin: Annotated[float, Range(-50.0, 50.0, "log-odds beyond are certain")] = 0.4
    """Log-odds that a reply must have to begin with a call of a tool, before anything is called."""
    forced_name: Annotated[float, Range(-50.0, 0.0, "it is the logarithm of a probability")] = -1.75
    """Log-probability below which a tool was not the model's own choice, so that nothing is called."""
    forced_value: Annotated[float, Range(-50.0, 0.0, "it is the logarithm of a probability")] = -3.0
    """The same for a value: one that the model did not expect stands for one that the schema forbids."""
    calls: Annotated[int, Range(1, 64, "without one nothing is called, and a grammar for more takes seconds")] = 8
    """Calls of one turn."""
    call_tokens: Annotated[int, Range(1, _MOST_TOKENS, _OF_TOKENS)] = 256
    """Tokens of all calls of a turn; where they do not suffice, nothing is called."""
    history_turns: Annotated[int, Range(1, 1000, "the turn that is answered stays, and more fit no context")] = 8
    """Turns that stay in the context; older ones are dropped."""

    def __post_init__(self) -> None:
        """Refuse a persona that would fill the context. Raises ValueError."""
        if len(self.persona) > _LONGEST_PERSONA:
            raise ValueError(f"persona has {len(self.persona)} characters, more than {_LONGEST_PERSONA}; shorten it")
        if any(not (sign.isprintable() or sign.isspace()) for sign in self.persona):
            raise ValueError("persona holds characters that are no text; write it in plain words")
