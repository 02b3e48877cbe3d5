from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.costs.site import shipped_sites
from bench.sites.choices import fill
from bench.sites.command import even_weights, ways
from bench.sites.day import run_day

PRICES = (1.0, 2.0, 4.0)


def best_by_enumeration(allowed: list[frozenset[int]], places: list[int]) -> tuple[int, float]:
    """The most conversations, and of those the least sum."""
    found = (len(allowed), 0.0)
    for placed in product((-1, 0, 1, 2), repeat=len(allowed)):
        fits = all(placed.count(site) <= places[site] for site in range(3))
        if fits and all(site < 0 or site in sites for site, sites in zip(placed, allowed, strict=True)):
            found = min(found, (placed.count(-1), sum(PRICES[site] for site in placed if site >= 0)))
    return found


@given(
    st.lists(st.frozensets(st.integers(0, 2), min_size=1), min_size=1, max_size=5),
    st.lists(st.integers(0, 3), min_size=3, max_size=3),
)
@settings(max_examples=60, deadline=None)
def test_filling_is_as_good_as_trying_everything(allowed: list[frozenset[int]], places: list[int]) -> None:
    placed = fill(allowed, [0, 1, 2], places, [-1] * len(allowed))
    assert all(site < 0 or site in sites for site, sites in zip(placed, allowed, strict=True))
    assert all(placed.count(site) <= places[site] for site in range(3))
    came_to = (placed.count(-1), sum(PRICES[site] for site in placed if site >= 0))
    assert came_to == best_by_enumeration(allowed, places)


def test_whoever_is_at_home_at_a_site_stays_before_others_take_the_place() -> None:
    anywhere = frozenset({0, 1})
    assert fill([anywhere] * 4, [0, 1], [2, 2], [1, 0, 1, 0]) == [1, 0, 1, 0]


@pytest.mark.parametrize("way", ["nearest", "round robin", "least loaded", "greedy", "exact", "game"])
def test_a_quiet_day_is_served_whole_and_the_same_twice(way: str) -> None:
    sites = shipped_sites()
    weights = even_weights(sites, 100)

    def day() -> dict[str, float]:
        choice = ways(weights, 1.5)[way]()
        return dict(run_day(choice, sites, seed=1, places=4, arrivals=1.0, joules=100, limit_s=1.5).figures())

    first = day()
    assert first == day()
    assert first["refused"] == 0
    if way in {"greedy", "exact", "game"}:
        assert first["late %"] == 0
    assert 0.9 < first["p50 s"] < 1.6
    if way in {"nearest", "round robin", "least loaded"}:
        assert first["moves"] == 0


def test_choosing_by_price_costs_less_than_choosing_the_nearest() -> None:
    sites = shipped_sites()
    weights = even_weights(sites, 100)
    priced = {
        name: run_day(
            ways(weights, 1.5)[name](), sites, seed=2, places=4, arrivals=1.0, joules=100, limit_s=1.5
        ).figures()
        for name in ("nearest", "greedy", "exact")
    }
    for name in ("greedy", "exact"):
        assert priced[name]["g"] < priced["nearest"]["g"]
