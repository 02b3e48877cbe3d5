"""The parts of the served engine that do no I/O: what is asked, how answers are read, and where they come from."""

from __future__ import annotations

import json
import math
from pathlib import Path

import httpx
import hypothesis.strategies as st
import pytest
from hypothesis import given

from agent.models.served import check_vocabulary, vocabulary_in
from reasoning.errors import BadModel, EngineFailed
from reasoning.options import VllmOptions
from reasoning.vllm.replicas import Home, Replicas
from reasoning.vllm.scoring import ChoiceScoring
from reasoning.vllm.servers import Servers
from reasoning.vllm.wire import Ask, Completion, CompletionPiece, Unavailable, refusal
from tests.agent.command_line import write_babbler


def line(ids: list[int], *, reason: str | None = None, **more: object) -> str:
    told = {"token_logprobs": [-0.5] * len(ids), "top_logprobs": [{f"token_id:{token}": -0.5} for token in ids]}
    return "data: " + json.dumps({"choices": [{"token_ids": ids, "logprobs": told, "finish_reason": reason, **more}]})


# --- answers ---


def test_an_answer_is_read_line_by_line() -> None:
    answer = Completion(Ask((1,), 9))
    assert answer.read("") == []
    assert answer.read(": ping") == []
    assert [piece.id for piece in answer.read(line([7, 8]))] == [7, 8]
    assert not answer.complete
    assert answer.read(line([9], reason="length")) == [CompletionPiece(9, -0.5, {})]
    assert answer.complete
    assert answer.read("data: [DONE]") == []


@pytest.mark.parametrize("reason", ["abort", "error"])
def test_an_answer_that_the_server_gave_up_can_be_had_elsewhere(reason: str) -> None:
    with pytest.raises(Unavailable, match=reason):
        Completion(Ask((1,), 9)).read(line([7], reason=reason))
    with pytest.raises(Unavailable, match="engine is dead"):
        Completion(Ask((1,), 9)).read('data: {"error": {"message": "the engine is dead"}}')


@pytest.mark.parametrize("data", ["[]", "3", '{"choices": [3]}', '{"choices": [{"token_ids": [1], "logprobs": 5}]}'])
def test_an_answer_that_makes_no_sense_is_refused(data: str) -> None:
    with pytest.raises(EngineFailed):
        Completion(Ask((1,), 9)).read(f"data: {data}")


def test_tokens_that_must_not_come_are_refused() -> None:
    with pytest.raises(EngineFailed, match="token 7"):
        Completion(Ask((1,), 9, ban=frozenset({7}))).read(line([7]))
    with pytest.raises(EngineFailed, match="token 7"):
        Completion(Ask((1,), 9, allowed=frozenset({8}))).read(line([7]))


def test_the_rest_of_a_request_is_asked_for_behind_what_has_come() -> None:
    rest = Ask((1, 2), 9, stop=frozenset({3}), seed=4).after(CompletionPiece(7, -1.0, {}))
    assert rest == Ask((1, 2, 7), 8, stop=frozenset({3}), seed=4)


@pytest.mark.parametrize(("status", "again"), [(400, False), (401, False), (404, False), (429, True), (503, True)])
def test_some_refusals_are_final(status: int, again: bool) -> None:
    found = refusal(status, b'{"error": {"message": "because of\\nthis"}}')
    assert isinstance(found, Unavailable if again else EngineFailed)
    assert str(found) == f"the server answers {status}: because of this"
    assert str(refusal(502, b"<html><h1>Bad gateway")) == "the server answers 502: a web page; is a proxy in between?"


# --- weighing ---

SHARES = st.lists(st.floats(0.01, 1.0), min_size=60, max_size=60)


@given(SHARES, st.frozensets(st.integers(0, 59), min_size=1, max_size=58), st.booleans())
def test_sets_are_weighed_as_if_all_were_known(shares: list[float], some: frozenset[int], against_all: bool) -> None:
    total = sum(shares)
    log_probs = {token: math.log(share / total) for token, share in enumerate(shares)}
    others = frozenset(range(60)) - some
    other = others if against_all else frozenset({min(others)})
    weighing = ChoiceScoring([some, other], 60)
    asks = weighing.asks([1, 2])
    assert all(ask.prompt == (1, 2) and ask.max_tokens == 1 and 1 <= len(ask.weighed) <= 20 for ask in asks)
    told = {token: log_probs[token] for ask in asks for token in ask.weighed}
    log_odds = weighing.log_odds(told)
    expected = [sum(shares[token] for token in choice) / total for choice in (some, other)]
    assert log_odds == pytest.approx(math.log(expected[0] / expected[1]), abs=1e-6)


def test_a_choice_that_no_server_can_weigh_is_refused() -> None:
    half = frozenset(range(0, 1000, 2))
    with pytest.raises(EngineFailed, match="at most 200"):
        ChoiceScoring([half, frozenset({1})], 1000)


def test_odds_of_what_is_hardly_possible_are_finite() -> None:
    log_odds = ChoiceScoring([frozenset({1}), frozenset({2})], 1000).log_odds({1: -9999.0, 2: -0.1})
    assert log_odds == pytest.approx(-9998.9)


# --- replicas ---


def replicas(count: int) -> Replicas:
    return Replicas([f"http://{number}" for number in range(count)])


def test_the_fewest_conversations_are_joined_and_not_left() -> None:
    some, homes = replicas(3), [Home() for _ in range(7)]
    for home in homes:
        some.place(home, 0.0)
    assert [replica.conversations for replica in some.all] == [3, 2, 2]
    before = [home.replica for home in homes]
    some.leave(homes[0])
    assert [some.place(home, 1.0) for home in homes[1:]] == before[1:]
    assert [replica.conversations for replica in some.all] == [2, 2, 2]


def test_a_failed_server_rests_for_a_moment_and_nobody_is_asked_while_all_rest() -> None:
    some = replicas(2)
    for replica in some.all:
        some.failed(replica, 1.0)
    assert some.place(Home(), 1.4) is None
    assert some.wait_s(1.4) == pytest.approx(0.1)
    assert some.place(Home(), 1.5) is some.all[0]


def test_a_server_that_may_hang_is_joined_last_until_it_is_well() -> None:
    some = replicas(2)
    hanging, well = some.all
    some.failed(hanging, 1.0)
    for _ in range(3):
        assert some.place(Home(), 2.0) is well
    some.well(hanging)
    assert some.place(Home(), 2.0) is hanging


def test_a_single_address_is_asked_again_at_once_and_rests_if_that_fails_too() -> None:
    some, now = replicas(1), 10.0
    (only,) = some.all
    for began in (8.0, 9.0, 10.0):
        # All that a dying server was writing breaks together, and counts once.
        some.failed(only, now, began)
        assert some.place(Home(), now) is only
    some.failed(only, 10.01, 10.005)
    assert some.place(Home(), 10.01) is None
    assert some.wait_s(10.01) == pytest.approx(0.5)
    some.well(only)
    some.failed(only, 20.0, 19.0)
    assert some.place(Home(), 20.0) is only


def test_what_fails_together_counts_once_and_health_ends_the_rest() -> None:
    some = replicas(2)
    home = Home()
    first = some.place(home, 0.0)
    assert first is not None
    for _ in range(10):
        some.failed(first, 0.0)
    assert first.rests_until == 0.5
    second = some.place(home, 0.1)
    assert second is not first
    some.well(first)
    assert some.place(home, 0.2) is second, "a conversation stays where its cache is"
    assert some.place(Home(), 0.2) is first


# --- a router in between ---


async def test_a_router_is_told_the_conversation_and_may_answer_a_web_page_or_half_a_stream() -> None:
    told = {"tokens": ["token_id:5"], "token_logprobs": [-1.0], "top_logprobs": [{"token_id:5": -1.0}]}
    token = {"choices": [{"index": 0, "text": "x", "token_ids": [5], "logprobs": told, "finish_reason": None}]}
    last = {"choices": [{**token["choices"][0], "finish_reason": "length"}]}
    page = httpx.Response(200, headers={"content-type": "text/html"}, text="<html>Sign in</html>")
    half = httpx.Response(200, text=f"data: {json.dumps(token)}\n\n")
    whole = httpx.Response(200, text=f"data: {json.dumps(last)}\n\ndata: [DONE]\n\n")
    answers, asked = [page, half, whole], list[httpx.Request]()

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return answers[len(asked) - 1]

    options = VllmOptions(servers=("http://router",), model="toy")
    servers, home = Servers(options, transport=httpx.MockTransport(answer)), Home()
    found = [piece.id async for piece in servers.complete(home, Ask((1, 2), 2))]
    await servers.aclose()
    assert found == [5, 5]
    assert [json.loads(request.content)["prompt"] for request in asked] == [[1, 2], [1, 2], [1, 2, 5]]
    assert {request.headers["X-Session-ID"] for request in asked} == {home.name}


async def test_a_router_that_answers_web_pages_alone_is_given_up_in_one_clear_line() -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": "text/html"}, text="<html>Sign in</html>")

    options = VllmOptions(servers=("http://router",), model="toy", patience_s=0.0)
    servers = Servers(options, transport=httpx.MockTransport(answer))
    with pytest.raises(EngineFailed, match="a web page came in place of tokens"):
        await anext(servers.complete(Home(), Ask((1, 2), 2)))
    await servers.aclose()


def test_an_answer_that_ends_in_the_middle_of_a_line_can_be_had_again() -> None:
    with pytest.raises(Unavailable, match="middle of a line"):
        Completion(Ask((1,), 9)).read('data: {"choices": [{"token_i')


async def test_another_model_that_answers_behind_a_router_is_told_in_one_line_and_nothing_of_it_is_used() -> None:
    asked = 0

    def answer(request: httpx.Request) -> httpx.Response:
        nonlocal asked
        if request.url.path == "/v1/models":
            return httpx.Response(200, json={"data": [{"id": name, "max_model_len": 99} for name in ("toy", "alias")]})
        if request.url.path != "/v1/completions":
            return httpx.Response(404)
        asked += 1
        told = {"tokens": ["token_id:5"], "token_logprobs": [-1.0], "top_logprobs": [{"token_id:5": -1.0}]}
        choice = {"index": 0, "text": "x", "token_ids": [5], "logprobs": told, "finish_reason": "length"}
        model = "alias" if asked == 1 else "llama"
        return httpx.Response(200, text=f"data: {json.dumps({'model': model, 'choices': [choice]})}\n\n")

    servers = Servers(VllmOptions(servers=("http://router",)), transport=httpx.MockTransport(answer))
    await servers.model()
    assert [piece.id async for piece in servers.complete(Home(), Ask((1, 2), 1))] == [5]
    with pytest.raises(EngineFailed, match="the model 'llama' answered in place of alias or toy"):
        await anext(servers.complete(Home(), Ask((1, 2), 1)))
    assert asked == 2, "what is wrong everywhere is not asked again"
    await servers.aclose()


@pytest.mark.parametrize("count", [1, 2])
async def test_servers_of_different_vocabularies_are_found_at_the_start_behind_a_router_too(
    count: int, tmp_path: Path
) -> None:
    file = write_babbler(tmp_path / "babbler.gguf")
    words = vocabulary_in(file)
    asked = 0

    def answer(request: httpx.Request) -> httpx.Response:
        nonlocal asked
        asked += 1
        own = words.encode(json.loads(request.content)["prompt"])
        return httpx.Response(200, json={"tokens": own if asked % 2 else own[::-1]})

    urls = tuple(f"http://{number}" for number in range(count))
    servers = Servers(VllmOptions(servers=urls), transport=httpx.MockTransport(answer))
    with pytest.raises(BadModel, match="different vocabularies"):
        await check_vocabulary(servers, words, file)
    await servers.aclose()
