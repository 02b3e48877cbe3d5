"""Live views against an independent reference: every logit of every step, and what must not change beside them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.vllm.flat_reference import Difference, Reference
from tests.vllm.server import FOLDERS
from tests.vllm.stage_mutants import MUTANTS
from tests.vllm.staged import Stage, StageError, staged

pytestmark = pytest.mark.vllm

TOLERANCE = 5e-4
MODELS = ("smollm2-135m", "qwen2.5-coder-0.5b")


@pytest.fixture(scope="module", params=MODELS)
def model(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stage")


@pytest.fixture(scope="module")
def stage(scratch: Path, model: str) -> Iterator[Stage]:
    with staged(scratch, model=model) as one:
        one.call("record", on=True)
        yield one


@pytest.fixture(scope="module")
def reference(model: str) -> Reference:
    return Reference(FOLDERS / model)


@pytest.fixture(autouse=True)
def _clean(stage: Stage) -> Iterator[None]:
    stage.call("mutate", name="")
    yield
    for request in stage.views.keys() - stage.ended.keys():
        stage.abort(request)
    stage.forget()


def text(seed: int, count: int) -> list[int]:
    """Tokens that no other request has, so that nothing comes from the prefix cache."""
    chosen = random.Random(seed)
    return [chosen.randrange(100, 40_000) for _ in range(count)]


def exact(stage: Stage, reference: Reference) -> dict[str, Difference]:
    """Every row of the run is within the tolerance, and ranks the same token first."""
    found = reference.replay(stage.trace(), stage.views)
    print(found)
    assert found.keys() == stage.views.keys()
    for request, difference in found.items():
        assert difference.largest <= TOLERANCE, request
        assert difference.same_first == difference.rows, request
    return found


# --- exactness ---


def two_streams(stage: Stage) -> None:
    stage.add("thinker", text(1, 45), 40)
    stage.step(10)
    stage.add("writer", text(2, 5), 45, ["thinker"])


def test_a_writer_reads_a_thinker_that_grows_and_goes_on_when_it_has_ended(stage: Stage, reference: Reference) -> None:
    two_streams(stage)
    stage.raw("ordinary", text(3, 30), 25, {})
    stage.until_idle()
    found = exact(stage, reference)
    assert found["writer"].rows == 45


def test_a_listener_grows_under_thoughts_and_a_probe_reads_all_three(stage: Stage, reference: Reference) -> None:
    stage.add("listener", text(4, 37), 60)
    stage.step(3)
    stage.add("thinker", text(5, 12), 50, ["listener"])
    stage.step(9)
    stage.add("writer", text(6, 7), 40, ["listener", "thinker"])
    for number in range(4):
        stage.step(6)
        stage.add(f"probe{number}", text(10 + number, 9), 1, ["listener", "thinker", "writer"])
    stage.until_idle()
    exact(stage, reference)


def test_two_writers_of_one_thinker_do_not_see_each_other(stage: Stage, reference: Reference) -> None:
    stage.add("thinker", text(20, 33), 30)
    stage.step(3)
    stage.add("one", text(21, 4), 30, ["thinker"])
    stage.add("other", text(22, 70), 25, ["thinker"])
    stage.until_idle()
    exact(stage, reference)


def test_a_long_prompt_is_read_in_chunks_under_a_view_that_grows(stage: Stage, reference: Reference) -> None:
    stage.add("thinker", text(30, 400), 30)
    stage.step(3)
    stage.add("writer", text(31, 540), 8, ["thinker"])
    stage.until_idle()
    # Decoding tokens come first, so the writer's chunk is one token short of the budget.
    assert exact(stage, reference)["writer"].rows == 2 + 7


def test_a_thinker_that_is_aborted_is_read_on(stage: Stage, reference: Reference) -> None:
    two_streams(stage)
    stage.step(5)
    stage.abort("thinker")
    for number in range(6):
        # They would like its memory.
        stage.raw(f"other{number}", text(40 + number, 60), 10, {})
    stage.until_idle()
    exact(stage, reference)
    assert stage.ended["writer"] == ("length", None)


# --- the tests see what is wrong ---


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_mutant_is_caught(stage: Stage, reference: Reference, mutant: str) -> None:
    stage.call("mutate", name=mutant)
    stage.add("listener", text(50, 40), 30)
    stage.step(2)
    stage.add("thinker", text(51, 20), 25, ["listener"])
    stage.step(2)
    stage.add("writer", text(52, 5), 12, ["listener", "thinker"])
    stage.until_idle()
    found = reference.replay(stage.trace(), stage.views)
    print(mutant, found)
    assert found["listener"].largest <= TOLERANCE
    assert found["writer"].largest > 100 * TOLERANCE


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_server_with_a_mutant_does_not_start(stage: Stage, mutant: str) -> None:
    stage.call("self_test")
    stage.call("mutate", name=mutant)
    with pytest.raises(StageError, match="Unsupported: live views give logits that differ by"):
        stage.call("self_test")


# --- ordinary requests ---


def ordinary(stage: Stage) -> list[tuple[str, bytes]]:
    """A batch of requests that come and go, and the bits of all that the model said."""
    stage.call("record", on=True)
    for number in range(5):
        stage.raw(f"r{number}", text(60 + number, 20 + 31 * number), 12 + number, {})
        stage.step(2)
    stage.until_idle()
    return [(row.request, row.logits.tobytes()) for step in stage.trace() for row in step]


def test_ordinary_requests_have_the_same_bits_with_the_plugin_and_without(
    stage: Stage, model: str, tmp_path: Path
) -> None:
    with staged(tmp_path, model=model, plugin=False) as stock:
        expected = ordinary(stock)
    assert ordinary(stage) == expected


def test_ordinary_requests_have_the_same_bits_beside_readers(stage: Stage) -> None:
    def run(view: Callable[[], list[str]]) -> list[tuple[str, bytes]]:
        stage.add("thinker", text(70, 40), 20)
        stage.raw("ordinary", text(71, 50), 20, {})
        stage.step(2)
        # The same rows either way: only that the last one looks back or does not.
        stage.add("writer", text(72, 9), 15, view())
        stage.until_idle()
        rows = [(row.request, row.logits.tobytes()) for step in stage.trace() for row in step]
        stage.forget()
        return rows

    alone, read = run(list), run(lambda: ["thinker"])
    for request in ("thinker", "ordinary"):
        assert [row for row in alone if row[0] == request] == [row for row in read if row[0] == request]
    assert alone != read
