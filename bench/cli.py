"""`descant bench`: measurements, each with a table for people and a JSON document for the rest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from agent.cli.options import Model, ModelServers, ServerKey
from agent.config.invocation import engine_overrides

if TYPE_CHECKING:
    from agent.config.invocation import Invocation
    from bench.robot.spoken import SpokenSet

app = typer.Typer(
    no_args_is_help=True,
    help="Benchmarks: budget, ears, echo, engine, fleet, latency, robot, server, sites, think, turns.",
    rich_markup_mode=None,
)

JsonFile = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write all figures and samples.")]
PlotFile = Annotated[Path | None, typer.Option("--plot", metavar="FILE", help="Draw the figure (PNG, SVG or PDF).")]
Quick = Annotated[bool, typer.Option("--quick", help="One item of each task: shows that it runs, proves nothing.")]


@app.command()
def ears(
    context: typer.Context,
    speech: Annotated[
        Path, typer.Option("--speech", metavar="DIR", help="Folder of recordings with an index.tsv; docs/bench.md.")
    ],
    models: Annotated[
        str, typer.Option("--models", metavar="A,B", help="Recognisers of the catalogue. [the one that is set]")
    ] = "",
    json_file: JsonFile = None,
    quick: Annotated[bool, typer.Option("--quick", help="Four recordings: shows that it runs.")] = False,
) -> None:
    """Hear recordings of people through the ears and by the recogniser alone: word errors, lost words, turn ends."""
    invocation: Invocation = context.obj
    from bench.ears.command import EarsBenchOptions, run  # noqa: PLC0415 - faster-whisper is slow to import

    names = tuple(filter(None, map(str.strip, models.split(","))))
    run(invocation, EarsBenchOptions(speech, names, 4 if quick else None, json_file))


@app.command()
def engine(
    context: typer.Context,
    model: Model = None,
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="Threads of a step.")] = None,
    against: Annotated[str | None, typer.Option("--vs", metavar="llama.cpp", help="Measure it side by side.")] = None,
    llama_cpp_python: Annotated[
        Path, typer.Option("--llama-cpp-python", metavar="FILE", help="The Python that has llama-cpp-python.")
    ] = Path(".venv-llama-cpp/bin/python"),
    contexts: Annotated[
        str | None, typer.Option("--contexts", metavar="A,B", help="Tokens read by a step. [256,1024,3072]")
    ] = None,
    repeats: Annotated[int, typer.Option("--repeats", min=1, help="Rounds that count.")] = 7,
    loads: Annotated[int, typer.Option("--loads", min=1, help="Cold and warm loads that are timed.")] = 7,
    budget_s: Annotated[
        float | None,
        typer.Option("--budget-s", min=1, help="End after so many seconds, with what there is."),
    ] = None,
    json_file: JsonFile = None,
    plot: PlotFile = None,
    quick: Annotated[bool, typer.Option("--quick", help="One round, short contexts: shows that it runs.")] = False,
) -> None:
    """Measure steps, prefill, loading and memory of the embedded engine against memory speed and llama.cpp."""
    invocation: Invocation = context.obj
    from bench.engine.command import EngineBenchOptions, run  # noqa: PLC0415 - torch is slow to import

    options = EngineBenchOptions(against, llama_cpp_python, contexts, repeats, loads, quick, budget_s, json_file, plot)
    run(invocation, {"models.llm": model, "engine.threads": threads}, options)


@app.command()
def fleet(
    context: typer.Context,
    server: ModelServers = None,
    api_key_file: ServerKey = None,
    numbers: Annotated[str, typer.Option("--conversations", metavar="A,B", help="Conversations at once.")] = "1,2,4,8",
    turns: Annotated[int, typer.Option("--turns", min=1, help="Questions in each conversation.")] = 4,
    tasks: Annotated[
        str, typer.Option("--tasks", metavar="A,B", help="Ask development questions of these tasks; docs/bench.md.")
    ] = "",
    model: Model = None,
    bandwidth: Annotated[float, typer.Option(metavar="GB/S", help="Calculate for this memory bandwidth.")] = 864.0,
    batch: Annotated[int, typer.Option(min=1, help="The same, for so many streams in a step.")] = 256,
    weights: Annotated[float, typer.Option(metavar="GB", help="The same, for a model of this size.")] = 16.4,
    cache: Annotated[float, typer.Option(metavar="KB", help="The same: keys and values of one token.")] = 147.5,
    view: Annotated[int, typer.Option(min=1, help="The same: tokens that a stream reads.")] = 1500,
    first_s: Annotated[float, typer.Option(min=0.01, help="The same: until a first clause is written.")] = 1.0,
    json_file: JsonFile = None,
    plot: PlotFile = None,
    quick: Annotated[bool, typer.Option("--quick", help="One conversation, one question: shows that it runs.")] = False,
) -> None:
    """Hold more and more conversations at once over vLLM servers, in real time; calculate what a GPU would hold.

    The calculation is for Qwen3-8B in bfloat16 on 864 GB/s unless told otherwise.
    """
    invocation: Invocation = context.obj
    from bench.server.capacity import Hardware  # noqa: PLC0415 - `--help` must be quick
    from bench.server.fleet import FleetBenchOptions, run  # noqa: PLC0415 - torch is slow to import

    hardware = Hardware(bandwidth * 1e9, batch, weights * 1e9, cache * 1e3, view, first_s)
    counts = (1,) if quick else tuple(sorted({int(number) for number in numbers.split(",")}))
    overrides = {"models.llm": model, **engine_overrides("vllm", server, api_key_file)}
    asked = tuple(filter(None, map(str.strip, tasks.split(","))))
    run(invocation, overrides, FleetBenchOptions(counts, 1 if quick else turns, asked, hardware, json_file, plot))


@app.command()
def latency(
    context: typer.Context,
    count: Annotated[int, typer.Option("--n", min=1, help="Spoken exchanges.")] = 48,
    model: Model = None,
    json_file: JsonFile = None,
    plot: PlotFile = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Three exchanges: shows that it runs, proves nothing.")
    ] = False,
) -> None:
    """Hold spoken exchanges through the whole live path in real time: promptness, barge-in, false cut-offs, words.

    Ctrl-C ends it early: what was held by then is reported.
    """
    invocation: Invocation = context.obj
    from bench.latency.command import LatencyBenchOptions, run  # noqa: PLC0415 - torch is slow to import

    run(invocation, {"models.llm": model}, LatencyBenchOptions(3 if quick else count, json_file, plot))


@app.command()
def echo(
    context: typer.Context,
    minutes: Annotated[float, typer.Option("--minutes", min=0.1, help="How long the agent speaks.")] = 10.0,
    echo_db: Annotated[float, typer.Option("--echo", metavar="DB", help="Level of its echo.")] = -20.0,
    json_file: JsonFile = None,
    quick: Annotated[bool, typer.Option("--quick", help="Half a minute: shows that it runs, proves nothing.")] = False,
) -> None:
    """Let the agent speak for minutes while its microphone hears it, and count what it takes for a user."""
    invocation: Invocation = context.obj
    from bench.latency.echo import EchoBenchOptions, run  # noqa: PLC0415 - onnxruntime is slow to import

    run(invocation, EchoBenchOptions(0.5 if quick else minutes, echo_db, json_file))


@app.command()
def server(
    context: typer.Context,
    most: Annotated[int, typer.Option("--most", min=1, help="Conversations at once, at most.")] = 16,
    turns: Annotated[int, typer.Option("--turns", min=1, help="Questions in each conversation.")] = 4,
    model: Model = None,
    json_file: JsonFile = None,
    plot: PlotFile = None,
    quick: Annotated[bool, typer.Option("--quick", help="One conversation, one question: shows that it runs.")] = False,
) -> None:
    """Find how many spoken conversations a real server holds at once before answers come too late."""
    invocation: Invocation = context.obj
    from bench.server.server import ServerBenchOptions, run  # noqa: PLC0415 - torch is slow to import

    options = ServerBenchOptions(1 if quick else most, 1 if quick else turns, json_file, plot)
    run(invocation, {"models.llm": model}, options)


@app.command()
def choices(
    context: typer.Context,
    tasks: Annotated[
        str, typer.Option("--tasks", metavar="A,B", help="Tasks, or sets of them: generated, public, everyday.")
    ] = "everyday",
    count: Annotated[int, typer.Option("--n", min=1, help="Development questions of each task.")] = 8,
    questions: Annotated[
        Path | None,
        typer.Option("--questions", metavar="DIR", help="Folder with the files of BIG-Bench Hard, for public tasks."),
    ] = None,
    early: Annotated[
        float,
        typer.Option(min=0.1, max=1.0, help="Also read the probes with this share of the words: what that changes."),
    ] = 1.0,
    model: Model = None,
    json_file: JsonFile = None,
) -> None:
    """Print which policy development questions are answered by, and what the probes say of them."""
    invocation: Invocation = context.obj
    from bench.think.choices import run  # noqa: PLC0415 - torch is slow to import

    run(invocation, {"models.llm": model}, tasks, count, questions, json_file, early)


@app.command()
def think(
    context: typer.Context,
    tasks: Annotated[
        str | None,
        typer.Option(
            "--tasks",
            metavar="A,B",
            help="Tasks, or sets of them: generated, public, told, everyday; or a report whose gaining tasks to take.",
        ),
    ] = None,
    questions: Annotated[
        Path | None,
        typer.Option("--questions", metavar="DIR", help="Folder with the files of BIG-Bench Hard, for public tasks."),
    ] = None,
    count: Annotated[int, typer.Option("--n", min=0, help="Plain questions of each task.")] = 20,
    split: Annotated[str, typer.Option("--split", metavar="dev|test", help="test is for reporting only.")] = "dev",
    modes: Annotated[
        str, typer.Option("--modes", metavar="A,B", help="Of async, think-first, no-think, aloud, published.")
    ] = "async,think-first,no-think",
    listening: Annotated[
        str,
        typer.Option(
            "--listening",
            metavar="A,B",
            help="Instead of modes: what is done while the user speaks, of off, questions, heads, thoughts; each is "
            "compared with the first, question by question.",
        ),
    ] = "",
    row: Annotated[
        list[str] | None,
        typer.Option("--row", metavar="NAME: K=V; …", help="Another row with other settings; repeatable."),
    ] = None,
    scenarios: Annotated[
        str,
        typer.Option(
            "--scenarios",
            metavar="A,B",
            help="Conversations that take turns, beside plain questions: shards, pauses, early-correction, correction, "
            "interruption, barge-in, second-question, or all.",
        ),
    ] = "",
    scenario_count: Annotated[
        int, typer.Option("--scenario-n", min=1, help="Conversations of each task in each scenario.")
    ] = 10,
    model: Model = None,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Conversations that share a step.")] = 16,
    real: Annotated[int, typer.Option("--real", min=0, help="Items also run in real time, to check the clock.")] = 0,
    speech: Annotated[
        int, typer.Option("--speech", min=0, help="Items also spoken, heard and listened to, in real time.")
    ] = 0,
    costs: Annotated[
        Path | None, typer.Option("--costs", metavar="FILE", help="Take step costs and pace from an earlier report.")
    ] = None,
    keep: Annotated[
        Path | None,
        typer.Option(
            "--keep",
            metavar="FILE",
            help="Keep each conversation there as it is finished; a run with the same file has them already.",
        ),
    ] = None,
    json_file: JsonFile = None,
    plot: PlotFile = None,
    quick: Quick = False,
) -> None:
    """Compare thinking while speaking with thinking first and not at all: accuracy against promptness."""
    invocation: Invocation = context.obj
    from bench.think.command import ThinkBenchOptions, run  # noqa: PLC0415 - torch is slow to import, `--help` must be quick

    wanted = ThinkBenchOptions(
        tasks=tasks,
        questions=questions,
        count=min(count, 1) if quick else count,
        split=split,
        modes=modes,
        listening=listening,
        rows=tuple(row or ()),
        scenarios=scenarios,
        scenario_count=1 if quick else scenario_count,
        batch=batch,
        real=real,
        speech=speech,
        costs=costs,
        keep=keep,
        json_file=json_file,
        plot=plot,
    )
    run(invocation, {"models.llm": model}, wanted)


@app.command()
def budget(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `descant bench think --keep FILE` has written.")],
) -> None:
    """Tell what shorter thoughts save, in joules, and lose, in right answers, from kept conversations."""
    from bench.budgets import run  # noqa: PLC0415 - `--help` must be quick

    run(file)


@app.command()
def robot(
    context: typer.Context,
    stops: Annotated[int, typer.Option("--stops", min=1, help="Spoken stops.")] = 32,
    news: Annotated[int, typer.Option("--news", min=0, help="Events of the robot to react to.")] = 4,
    tasks: Annotated[bool, typer.Option("--tasks", help="Spoken tasks instead: what does the robot get done?")] = False,
    ordinary: Annotated[
        float,
        typer.Option("--ordinary", metavar="MINUTES", help="Instead: how often is ordinary speech taken for a stop?"),
    ] = 0.0,
    skip: Annotated[
        int, typer.Option("--skip", min=0, help="Sentences of ordinary speech that an earlier run has said.")
    ] = 0,
    spoken: Annotated[
        str | None,
        typer.Option("--spoken", metavar="a|b|develop", help="Only this set of spoken tasks, in fresh voices."),
    ] = None,
    split: Annotated[str, typer.Option("--split", metavar="test|develop", help="test is for reporting only.")] = "test",
    phrasing: Annotated[
        list[int] | None, typer.Option("--phrasing", min=1, help="Only this phrasing of each task; repeatable.")
    ] = None,
    model: Model = None,
    json_file: JsonFile = None,
    plot: PlotFile = None,
    quick: Quick = False,
) -> None:
    """Measure a spoken stop through real ears and a real broker while the engine is busy; or run spoken tasks."""
    invocation: Invocation = context.obj
    if split not in {"test", "develop"}:
        raise typer.BadParameter("write --split test or --split develop.")
    if spoken not in {None, "a", "b", "develop"}:
        raise typer.BadParameter("write --spoken a, --spoken b or --spoken develop.")
    from bench.robot.command import RobotBenchOptions, run  # noqa: PLC0415 - torch is slow to import, `--help` must be quick

    chosen = (0,) if quick else tuple(number - 1 for number in phrasing) if phrasing else None
    wanted = RobotBenchOptions(
        stops=3 if quick else stops,
        news=1 if quick else news,
        tasks=tasks,
        spoken=cast("SpokenSet | None", spoken),
        ordinary=1.0 if quick and ordinary else ordinary,
        skip=skip,
        split="test" if split == "test" else "develop",
        phrasings=chosen,
        json_file=json_file,
        plot=plot,
    )
    run(invocation, {"models.llm": model}, wanted)


@app.command()
def turns(
    context: typer.Context,
    speech: Annotated[
        Path, typer.Option("--speech", metavar="DIR", help="Folder of recordings with an index.tsv; docs/bench.md.")
    ],
    sentences: Annotated[
        int, typer.Option("--sentences", min=0, max=124, help="Sentences of the synthetic voice to learn from, too.")
    ] = 50,
    price_s: Annotated[
        float, typer.Option("--cut-worth", min=0.1, metavar="S", help="Waiting that a cut is worth, for the weights.")
    ] = 1.8,
    json_file: JsonFile = None,
    quick: Annotated[bool, typer.Option("--quick", help="Four recordings, two sentences: shows that it runs.")] = False,
) -> None:
    """Fit the wait for the end of a turn to pauses of people: turns that are cut against waiting, speaker left out."""
    invocation: Invocation = context.obj
    from bench.ears.turns import TurnsBenchOptions, run  # noqa: PLC0415 - faster-whisper is slow to import

    wanted = TurnsBenchOptions(speech, 4 if quick else None, 2 if quick else sentences, price_s, json_file)
    run(invocation, wanted)


@app.command()
def sites(
    days: Annotated[int, typer.Option("--days", min=1, help="Days, each with a seed of its own.")] = 5,
    places: Annotated[int, typer.Option(min=1, help="Conversations that a site holds.")] = 24,
    arrivals: Annotated[float, typer.Option(min=0.1, help="Conversations that begin in five minutes.")] = 16.0,
    limit_s: Annotated[
        float, typer.Option("--limit-s", min=0.1, help="Seconds to a first clause that must be kept.")
    ] = 1.5,
    joules: Annotated[float, typer.Option(min=0.001, help="Energy of a turn.")] = 100.0,
    json_file: JsonFile = None,
    quick: Annotated[bool, typer.Option("--quick", help="One day: shows that it runs.")] = False,
) -> None:
    """Simulate days of conversations over four sites: what nearest, greedy, exact and game-playing choices cost."""
    from bench.sites.command import SitesBenchOptions, run  # noqa: PLC0415 - `--help` must be quick

    run(SitesBenchOptions(1 if quick else days, places, arrivals, limit_s, joules, json_file))
