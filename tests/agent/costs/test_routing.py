from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.costs.routing import CostWeights, Offer, SiteRouter
from agent.costs.site import Footprint

ROUTER = SiteRouter(CostWeights(gram=1, millilitre=0.5, money=10), limit_s=1.5, gain=0.2)


def offer(site: str, grams: float, first_s: float = 1.0, free: int = 1, reread_s: float = 1.0) -> Offer:
    return Offer(site, first_s, Footprint(grams), free, reread_s)


def test_a_new_conversation_goes_where_it_costs_least_of_those_that_are_soon_enough() -> None:
    assert ROUTER.choose([offer("a", 5), offer("b", 3), offer("c", 1, first_s=1.6), offer("d", 2, free=0)]) == "b"


def test_water_and_money_count_by_their_weights() -> None:
    dry = Offer("dry", 1, Footprint(2, 0, 0.1), 1)
    wet = Offer("wet", 1, Footprint(1, 5, 0.1), 1)
    dear = Offer("dear", 1, Footprint(1, 0, 0.5), 1)
    assert ROUTER.choose([wet, dear, dry]) == "dry"


def test_where_no_site_is_soon_enough_the_quickest_answers() -> None:
    assert ROUTER.choose([offer("a", 1, first_s=3), offer("b", 9, first_s=2)]) == "b"
    assert ROUTER.choose([offer("a", 1, free=0)]) is None
    assert ROUTER.choose([]) is None


def test_a_conversation_moves_for_a_gain_that_is_worth_it_alone() -> None:
    assert ROUTER.choose([offer("a", 10, free=0), offer("b", 8.1)], now_at="a", speaking_s=2.0) == "a"
    assert ROUTER.choose([offer("a", 10, free=0), offer("b", 7.9)], now_at="a", speaking_s=2.0) == "b"


def test_it_moves_only_if_the_history_is_read_while_the_user_speaks() -> None:
    offers = [offer("a", 10), offer("b", 1, reread_s=2.5)]
    assert ROUTER.choose(offers, now_at="a", speaking_s=2.4) == "a"
    assert ROUTER.choose(offers, now_at="a", speaking_s=2.5) == "b"


def test_a_site_that_became_too_slow_is_left_whatever_it_costs_and_kept_if_there_is_no_better() -> None:
    slow = offer("a", 1, first_s=1.6)
    assert ROUTER.choose([slow, offer("b", 5)], now_at="a", speaking_s=2) == "b"
    assert ROUTER.choose([slow, offer("b", 5, first_s=1.7)], now_at="a", speaking_s=2) == "a"


@given(
    st.lists(st.tuples(st.floats(0.1, 100), st.floats(0.1, 3), st.integers(0, 2)), min_size=1, max_size=6),
    st.floats(0, 3),
)
def test_two_prices_that_wander_by_less_than_the_gain_move_nobody_back(
    sites: list[tuple[float, float, int]], speaking_s: float
) -> None:
    offers = [offer(str(number), *site) for number, site in enumerate(sites)]
    first = ROUTER.choose(offers)
    if first is None:
        assert all(free == 0 for _, _, free in sites)
        return
    assert ROUTER.choose(offers, now_at=first, speaking_s=speaking_s) == first
