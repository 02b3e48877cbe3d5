from __future__ import annotations

from statistics import fmean

import pytest

from agent.costs.options import CostOptions
from agent.costs.price import price_now, relative_price
from agent.costs.routing import CostWeights
from agent.costs.site import ComputeSite, shipped_sites
from agent.errors import ConfigError


def site(carbon: list[float], tariff: float = 0.1) -> ComputeSite:
    return ComputeSite("a", 1.2, tuple(carbon), (0.0,) * 24, (0.0,) * 24, (tariff,) * 24, "EUR")


def test_an_hours_price_is_by_the_days_mean() -> None:
    place = site([300.0] * 12 + [100.0] * 12)
    assert relative_price(place, 3) == pytest.approx(1.5)
    assert relative_price(place, 24 + 13) == pytest.approx(0.5)
    assert relative_price(place, 3, CostWeights(gram=0, money=1)) == pytest.approx(1)
    for shipped in shipped_sites().values():
        assert fmean(relative_price(shipped, hour) for hour in range(24)) == pytest.approx(1)


def test_where_no_price_is_known_or_energy_is_given_away_it_is_the_mean() -> None:
    assert relative_price(None, 3) == 1
    assert relative_price(site([0.0] * 24), 3) == 1
    given_away = relative_price(site([1.0] * 24, tariff=-0.1), 3, CostWeights(gram=0, money=1))
    assert given_away == 1
    assert price_now(CostOptions())() == 1
    assert 0.5 < price_now(CostOptions(site="spain"))() < 1.5


def test_a_site_that_is_not_there_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="atlantis"):
        price_now(CostOptions(site="atlantis"))
