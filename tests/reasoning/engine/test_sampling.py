from __future__ import annotations

import math
from collections import Counter

import pytest
import torch

from reasoning.engine.contract import Sampling
from reasoning.engine.sampling import Sampler, scored_choices

CPU = torch.device("cpu")
SHARES = torch.tensor([0.05, 0.4, 0.1, 0.3, 0.15])
LOGITS = SHARES.log() + 3.0


def drawn(rules: Sampling, logits: torch.Tensor = LOGITS) -> Counter[int]:
    sampler = Sampler(rules, CPU)
    return Counter(sampler.choose(logits)[0] for _ in range(2000))


def test_greedy_takes_the_most_likely_and_gives_its_log_probability() -> None:
    chosen, log_prob = Sampler(Sampling(), CPU).choose(LOGITS)
    assert chosen == 1
    assert log_prob == pytest.approx(math.log(0.4), abs=1e-5)


def test_banned_tokens_are_never_chosen_and_change_no_probability() -> None:
    chosen, log_prob = Sampler(Sampling(ban=frozenset({1})), CPU).choose(LOGITS)
    assert chosen == 3
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
        [sampler.choose(LOGITS)[0] for _ in range(50)]
        for sampler in (Sampler(Sampling(temperature=1.0, seed=seed), CPU) for seed in (7, 7, 8))
    ]
    assert draws[0] == draws[1] != draws[2]


def test_the_log_probability_knows_nothing_of_the_rules() -> None:
    rules = Sampling(temperature=0.1, top_k=1, ban=frozenset({1}))
    chosen, log_prob = Sampler(rules, CPU).choose(LOGITS)
    assert log_prob == pytest.approx(math.log(float(SHARES[chosen])), abs=1e-5)


def test_weighing_sums_over_each_set() -> None:
    log_odds = scored_choices(LOGITS, [frozenset({1, 2}), frozenset({3})])
    assert log_odds == pytest.approx(math.log(0.5 / 0.3), abs=1e-5)
