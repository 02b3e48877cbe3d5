from __future__ import annotations

import pytest

from agent.costs.options import CostOptions, site_named
from agent.costs.site import parse_sites, shipped_sites
from agent.errors import ConfigError

GOOD = """
[[site]]
name = "here"
pue = 1.5
carbon = { unit = "g/kWh", values = [HOURS] }
water_grid = { unit = "L/kWh", values = 2 }
water_site = { unit = "L/kWh", values = 1 }
tariff = { unit = "EUR/MWh", values = 100 }
""".replace("HOURS", ", ".join(str(100 + hour) for hour in range(24)))


def test_energy_is_priced_by_the_hour_and_the_whole_site() -> None:
    site = parse_sites(GOOD, "t")["here"]
    cost = site.footprint(3.6e6, 3)
    assert cost.grams == pytest.approx(1.5 * 103)
    assert cost.millilitres == pytest.approx(1000 * (1 + 1.5 * 2))
    assert cost.money == pytest.approx(1.5 * 0.1)
    assert site.footprint(3.6e6, 27) == cost
    assert site.currency == "EUR"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("100, 101", "-5, 101", "carbon: -5 is not allowed"),
        ("100, 101,", "101,", "carbon: there are 23 values"),
        ("100, 101", "nan, 101", "carbon: nan is not a number"),
        ("100, 101", "inf, 101", "carbon: inf is not a number"),
        ("100, 101", f"1{'0' * 400}, 101", "is not a number"),
        ("100, 101", "true, 101", "carbon: True is not a number"),
        ('"g/kWh"', '"t/kWh"', "the unit 't/kWh' is not known; write g/kWh"),
        ('"EUR/MWh"', '"euro"', "write a currency by energy"),
        ("pue = 1.5", "pue = 0.9", "pue = 0.9 is not allowed"),
        ("pue = 1.5", "peu = 1.5", "there is no 'peu'"),
        ('name = "here"', "", "site 1 has no name"),
        ("values = 2", "values = -2", "water_grid: -2 is not allowed"),
        ("tariff = {", "carbon2 = {", "there is no 'carbon2'"),
        ("[[site]]", "[[sight]]", "names no site"),
        ("[[site]]", "[[site]", "is not valid TOML"),
    ],
)
def test_what_is_wrong_in_a_table_is_told_in_one_line(old: str, new: str, told: str) -> None:
    assert old in GOOD
    with pytest.raises(ConfigError) as raised:
        parse_sites(GOOD.replace(old, new, 1), "table.toml")
    assert told in str(raised.value)
    assert "\n" not in str(raised.value)


def test_two_sites_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="two sites 'here'"):
        parse_sites(GOOD + GOOD, "t")


def test_a_tariff_may_be_below_zero() -> None:
    site = parse_sites(GOOD.replace("values = 100", "values = -100"), "t")["here"]
    assert site.footprint(3.6e6, 0).money < 0


def test_the_examples_are_whole_and_a_wrong_name_is_told_with_the_right_ones() -> None:
    assert {"spain", "california"} <= set(shipped_sites())
    assert {site.currency for site in shipped_sites().values()} == {"EUR"}
    assert site_named(CostOptions()) is None
    with pytest.raises(ConfigError, match="there are spain, california"):
        site_named(CostOptions(site="atlantis"))
