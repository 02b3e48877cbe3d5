"""Memory that is read stays, memory that nobody reads goes, and nobody waits for ever."""

from __future__ import annotations

import json
import os
import random
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from statistics import median

import pytest

from tests.vllm.flat_reference import Reference
from tests.vllm.server import FOLDERS, PYTHON
from tests.vllm.staged import ENVIRONMENT, Row, Stage, overlay, staged
from tests.vllm.test_live_views import TOLERANCE, text

pytestmark = pytest.mark.vllm

MODEL = "smollm2-135m"
PAGES = 12
REQUESTS = 2000


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference(FOLDERS / MODEL)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Very little memory: 12 pages of 32 tokens."""
    with staged(
        tmp_path_factory.mktemp("stage"),
        num_gpu_blocks_override=PAGES + 1,
        max_model_len=224,
        max_num_batched_tokens=48,
        max_num_seqs=6,
    ) as one:
        one.call("record", on=True)
        yield one


@pytest.fixture(autouse=True)
def _clean(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "stage" in request.fixturenames:
        stage: Stage = request.getfixturevalue("stage")
        for name in stage.views.keys() - stage.ended.keys():
            stage.abort(name)
        stage.forget()


def assert_exact(reference: Reference, steps: list[list[Row]], stage: Stage) -> None:
    found = reference.replay(steps, stage.views)
    print("largest difference", max(each.largest for each in found.values()), sum(each.rows for each in found.values()))
    for request, difference in found.items():
        assert difference.largest <= TOLERANCE, request
        assert difference.same_first == difference.rows, request


# --- the real scheduler and memory without a model ---


@pytest.mark.parametrize(
    ("policy", "overlap"), [("fcfs", 1), ("priority", 1), ("fcfs", 2)], ids=["fcfs", "priority", "steps that overlap"]
)
def test_two_thousand_random_requests_leave_nothing_behind_and_nobody_waiting(
    tmp_path: Path, policy: str, overlap: int
) -> None:
    environment = {**os.environ, **ENVIRONMENT, "PYTHONPATH": str(overlay(tmp_path)), "VLLM_PLUGINS": "live_views"}
    command = [PYTHON, Path(__file__).with_name("stress.py"), FOLDERS / MODEL, REQUESTS, 1, policy, overlap]
    done = subprocess.run([*map(str, command)], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    print(policy, overlap, told)
    # All of it has happened, so that the test says something.
    assert told["requests"] >= REQUESTS
    for kind in ("reader", "root", "ordinary", "aborted", "stop", "length", "pinned", "live_views 404:"):
        assert told.get(kind, 0) >= 20, kind
    for kind in ("preempted", "live_views 503:"):
        assert told.get(kind, 0) >= 1, kind


# --- with the model ---


def test_a_writer_is_preempted_before_what_it_reads_and_takes_it_up_again(stage: Stage, reference: Reference) -> None:
    stage.add("thinker", text(101, 60), 80)
    stage.raw("other", text(103, 100), 95, {})
    stage.step(10)
    stage.add("writer", text(102, 20), 60, ["thinker"])
    stage.until_idle()
    steps = stage.trace()
    firsts = {name: [row.first for step in steps for row in step if row.request == name] for name in stage.views}
    again = {name: sum(b < a for a, b in pairwise(found)) for name, found in firsts.items()}
    print("restarts", again)
    assert again == {"thinker": 0, "other": 0, "writer": again["writer"]}
    assert again["writer"] >= 1
    assert_exact(reference, steps, stage)


def test_a_block_that_has_no_room_beside_what_it_reads_is_ended_with_a_reason(stage: Stage) -> None:
    # Each short block takes a page: eight of twelve are read, and the reader would need five.
    for number in range(8):
        stage.add(f"short{number}", text(110 + number, 3), 3)
    stage.add("reader", text(120, 150), 20, [f"short{number}" for number in range(8)])
    stage.raw("bystander", text(121, 200), 20, {})
    stage.until_idle()
    finish, reason = stage.ended["reader"]
    assert finish == "error"
    assert reason is not None
    assert reason.startswith("live_views 503: there is no room for this block: it needs 5 pages of 32 tokens beside")
    assert stage.ended["bystander"] == ("length", None)


def test_whoever_reads_a_block_that_was_ended_before_it_was_computed_is_told(stage: Stage) -> None:
    stage.add("thinker", text(130, 150), 20)
    stage.add("writer", text(131, 5), 5, ["thinker"])
    stage.step()
    stage.abort("thinker")
    stage.until_idle()
    assert stage.ended["writer"] == ("error", "live_views 409: the block 'thinker' was ended before it was computed")


def test_a_view_ends_where_the_model_reads_no_more(stage: Stage, reference: Reference) -> None:
    stage.add("thinker", text(140, 100), 60)
    stage.step(4)
    stage.add("writer", text(141, 30), 120, ["thinker"])
    stage.step(2)
    stage.add("long", text(142, 130), 1, ["thinker"])
    stage.until_idle()
    assert stage.ended["writer"] == ("length", None)
    assert stage.ended["long"][0] == "error"
    assert "and the model reads 224" in str(stage.ended["long"][1])
    steps = stage.trace()
    last = next(step for step in reversed(steps) if any(row.request == "writer" for row in step))
    # Both may grow by one more.
    assert 224 - 2 <= sum(row.first + len(row.tokens) for row in last) <= 224
    assert_exact(reference, steps, stage)


def test_random_requests_are_exact(stage: Stage, reference: Reference) -> None:
    chosen, count = random.Random(5), 0
    alive: list[str] = []
    while count < 60 or alive:
        alive = [name for name in stage.views if name not in stage.ended]
        if count < 60 and len(alive) < 6 and chosen.random() < 0.35:
            count += 1
            thinkers = [name for name in alive if name.startswith("t")]
            view = [chosen.choice(thinkers)] if thinkers and chosen.random() < 0.6 else []
            stage.add(
                f"{'w' if view else 't'}{count}",
                text(200 + count, chosen.randrange(2, 50)),
                chosen.randrange(1, 50),
                view,
            )
        if alive and chosen.random() < 0.03:
            stage.abort(chosen.choice(alive))
        stage.step()
    refused = [stop for finish, stop in stage.ended.values() if finish == "error"]
    assert all("live_views 4" in str(stop) or "live_views 503" in str(stop) for stop in refused)
    steps = stage.trace()
    print(count, "requests", len(refused), "refused")
    assert_exact(reference, steps, stage)


# --- what it costs ---


def test_a_step_with_a_writer_costs_little_more_than_a_stock_step(tmp_path: Path) -> None:
    """Against the same rows without live views: the writer as one flat prompt, as re-submission has it."""
    thoughts, reply = text(300, 1000), text(301, 10)
    with staged(tmp_path, max_model_len=2048, max_num_batched_tokens=2048) as stage:
        figures: dict[str, list[float]] = {"live": [], "flat": [], "short": []}
        for turn in range(3):
            for kind, found in figures.items():
                stage.add("thinker", thoughts, 200)
                stage.step(2)
                prompt = [*thoughts, *reply] if kind == "flat" else reply
                stage.add("writer", prompt, 200, ["thinker"] if kind == "live" else [])
                stage.step(3)
                steps = stage.call("timed", count=25)
                found.append(median(steps))
                for name in ("thinker", "writer"):
                    stage.abort(name)
                stage.forget()
            print(turn, {kind: round(found[-1], 2) for kind, found in figures.items()})
    live, flat, short = (median(found) for found in figures.values())
    print(f"joint step {live:.1f} ms, stock {flat:.1f} ms (flat) and {short:.1f} ms (short): {live / flat:.2f}")
    assert live / flat <= 1.4
    assert live / short <= 1.4
