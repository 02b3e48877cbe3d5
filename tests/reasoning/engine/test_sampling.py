from __future__ import annotations

import math
from collections import Counter

import pytest
import torch

from reasoning.engine.contract import Sampling
from reasoning.engine.sampling import Reading, Sampler, read_together, scored_choices
from reasoning.errors import EngineFailed
from tests.reasoning.readings import read_alone

CPU = torch.device("cpu")
SHARES = torch.tensor([0.05, 0.4, 0.1, 0.3, 0.15])
LOGITS = SHARES.log() + 3.0


def chosen(sampler: Sampler, logits: torch.Tensor = LOGITS) -> tuple[int, float]:
    return read_alone(sampler.choose(logits))


def drawn(rules: Sampling, logits: torch.Tensor = LOGITS) -> Counter[int]:
    sampler = Sampler(rules, CPU)
    return Counter(chosen(sampler, logits)[0] for _ in range(2000))


def test_greedy_takes_the_most_likely_and_gives_its_log_probability() -> None:
    token, log_prob = chosen(Sampler(Sampling(), CPU))
    assert token == 1
    assert log_prob == pytest.approx(math.log(0.4), abs=1e-5)


def test_banned_tokens_are_never_chosen_and_change_no_probability() -> None:
    token, log_prob = chosen(Sampler(Sampling(ban=frozenset({1})), CPU))
    assert token == 3
    assert log_prob == pytest.approx(math.log(0.3), abs=1e-5)
    assert set(drawn(Sampling(ban=frozenset({1, 3}), temperature=1.0))) == {0, 2, 4}


def test_sampling_follows_the_probabilities() -> None:
    found = drawn(Sampling(temperature=1.0))
    for token, share in enumerate(SHARES.tolist()):
        assert found[token] / 2000 == pytest.approx(share, abs=0.04)


@pytest.mark.parametrize(("temperature", "flatter"), [(4.0, True), (0.4, False)])
def test_temperature_flattens_and_sharpens(temperature: float, flatter: bool) -> None:
    expected = (LOGITS / temperature).softmax(dim=-1)
    found = drawn(Sampling(temperature=temperature))
    assert (expected[1] < 0.4) == flatter
    for token in range(5):
        assert found[token] / 2000 == pytest.approx(float(expected[token]), abs=0.04)


@pytest.mark.parametrize(
    ("rules", "kept"),
    [
        (Sampling(temperature=1.0, top_k=1), {1}),
        (Sampling(temperature=1.0, top_k=3), {1, 3, 4}),
        (Sampling(temperature=1.0, top_k=99), {0, 1, 2, 3, 4}),
        (Sampling(temperature=1.0, top_p=0.39), {1}),
        (Sampling(temperature=1.0, top_p=0.41), {1, 3}),
        (Sampling(temperature=1.0, top_p=0.0001), {1}),
        (Sampling(temperature=1.0, min_p=0.3), {1, 3, 4}),
        (Sampling(temperature=1.0, min_p=0.2), {1, 2, 3, 4}),
        (Sampling(temperature=1.0, top_k=4, top_p=0.8, min_p=0.7), {1, 3}),
    ],
)
def test_cuts_keep_exactly_the_likeliest(rules: Sampling, kept: set[int]) -> None:
    assert set(drawn(rules)) == kept


def test_the_same_seed_draws_the_same_and_another_does_not() -> None:
    draws = [
        [chosen(sampler)[0] for _ in range(50)]
        for sampler in (Sampler(Sampling(temperature=1.0, seed=seed), CPU) for seed in (7, 7, 8))
    ]
    assert draws[0] == draws[1] != draws[2]


def test_the_log_probability_knows_nothing_of_the_rules() -> None:
    rules = Sampling(temperature=0.1, top_k=1, ban=frozenset({1}))
    token, log_prob = chosen(Sampler(rules, CPU))
    assert log_prob == pytest.approx(math.log(float(SHARES[token])), abs=1e-5)


def test_weighing_sums_over_each_set() -> None:
    log_odds = read_alone(scored_choices(LOGITS, [frozenset({1, 2}), frozenset({3})]))
    assert log_odds == pytest.approx(math.log(0.5 / 0.3), abs=1e-5)


def test_draws_are_those_of_multinomial() -> None:
    rules = Sampling(temperature=0.8, top_k=60, top_p=0.95, min_p=0.001, seed=3)
    sampler, generator = Sampler(rules, CPU), torch.Generator().manual_seed(3)
    for number in range(200):
        logits = 3 * torch.randn(200, generator=torch.Generator().manual_seed(number))
        ordered, ids = (logits / 0.8).sort(descending=True)
        share = ordered.softmax(dim=-1)
        keep = (share >= 0.001 * share[0]) & (share.cumsum(dim=-1) - share < 0.95)
        keep[60:] = False
        assert chosen(sampler, logits)[0] == int(ids[torch.multinomial(share * keep, 1, generator=generator)])


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("logits", [torch.full((5,), -torch.inf), torch.full((5,), torch.nan)])
def test_where_nothing_can_be_chosen_only_that_stream_fails(temperature: float, logits: torch.Tensor) -> None:
    rules = Sampling(temperature=temperature)
    good, bad = read_together([Sampler(Sampling(), CPU).choose(LOGITS), Sampler(rules, CPU).choose(logits)])
    assert isinstance(bad, EngineFailed)
    assert not isinstance(good, EngineFailed)
    assert good[0] == 1


def test_readings_of_unlike_lengths_are_read_together_and_in_their_order() -> None:
    def reading(rounds: int, fails: Exception | None = None) -> Reading[list[float]]:
        found: list[float] = []
        for number in range(rounds):
            found += yield torch.full((number + 1,), float(10 * rounds + number))
        if fails is not None:
            raise fails
        return found

    wrong = EngineFailed("no")
    found = read_together([reading(2), reading(0), reading(1, wrong), reading(3), reading(1, IndexError("off"))])
    assert found[:4] == [[20, 21, 21], [], wrong, [30, 31, 31, 32, 32, 32]]
    assert "off" in str(found[4])
