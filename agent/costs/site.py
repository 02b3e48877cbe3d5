"""Sites: what energy costs there by the hour, read from a TOML table. Pure: knows no clock and no meter.

A site's figures name their unit, source and year; hours are those of UTC. Carbon, water and tariff are one number for
the whole day, or a list of 24.
"""

from __future__ import annotations

import math
import re
import sys
import tomllib
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Final

from agent.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_HOURS: Final = 24
_JOULES: Final = 3.6e6
"""In a kilowatt-hour."""
_CARBON: Final = {"g/kWh": 1.0, "kg/MWh": 1.0, "kg/kWh": 1000.0}
_WATER: Final = {"L/kWh": 1.0, "m3/MWh": 1.0}
_ENERGY: Final = {"kWh": 1.0, "MWh": 1e-3}
_LARGEST: Final = sys.float_info.max
"""TOML's integers have no end, and the largest become no float."""
_KEYS: Final = frozenset({"name", "pue", "carbon", "water_grid", "water_site", "tariff"})


@dataclass(frozen=True, slots=True)
class Footprint:
    """What some energy costs the world, and its buyer."""

    grams: float = 0.0
    """Of CO2 equivalent."""
    millilitres: float = 0.0
    """Of water that evaporates, on site and in the power plants."""
    money: float = 0.0
    """In the currency of the site."""


@dataclass(frozen=True, slots=True)
class ComputeSite:
    """A place where it is computed. Each tuple has a number for every hour of the day, UTC."""

    name: str
    pue: float
    """Power usage effectiveness: energy of the whole site by that of its computers."""
    carbon: tuple[float, ...]
    """Grams of CO2 equivalent for a kWh from the grid."""
    water_grid: tuple[float, ...]
    """Litres that the grid's power plants evaporate for a kWh."""
    water_site: tuple[float, ...]
    """Litres that the site evaporates for a kWh of its computers (WUE)."""
    tariff: tuple[float, ...]
    """Price of a kWh; below zero where one is paid for taking it."""
    currency: str
    """Three capital letters."""

    def footprint(self, joules: float, hour: int) -> Footprint:
        """Give what energy of computers costs in an hour of the day (UTC).

        Water on site goes with the computers' energy, all else with what is drawn from the grid (Li et al., Making AI
        Less Thirsty, 2023).
        """
        computers = joules / _JOULES
        grid, hour = computers * self.pue, hour % _HOURS
        litres = computers * self.water_site[hour] + grid * self.water_grid[hour]
        return Footprint(grid * self.carbon[hour], 1000 * litres, grid * self.tariff[hour])


def shipped_sites() -> Mapping[str, ComputeSite]:
    """Give the examples that come with Descant, by name."""
    text = resources.files("agent.costs").joinpath("sites.toml").read_text(encoding="utf-8")
    return parse_sites(text, "sites.toml")


def read_sites(file: Path) -> Mapping[str, ComputeSite]:
    """Read a table of sites. Raises ConfigError with the first thing that is wrong."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the table of sites {file} cannot be read: {error}.") from None
    return parse_sites(text, str(file))


def parse_sites(text: str, where: str) -> Mapping[str, ComputeSite]:
    """Read the text of a table; `where` is its name in messages. Raises ConfigError."""
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{where} is not valid TOML: {' '.join(str(error).split())}.") from None
    entries = table.get("site")
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise ConfigError(f"{where} names no site; write each as a table [[site]] with name, pue, carbon and tariff.")
    sites: dict[str, ComputeSite] = {}
    for number, entry in enumerate(entries, 1):
        name = entry.get("name")
        if not isinstance(name, str) or not name.strip():
            raise ConfigError(f'{where}: site {number} has no name; write name = "madrid".')
        if name in sites:
            raise ConfigError(f"{where}: there are two sites {name!r}; names are unique.")
        sites[name] = _site(entry, name, f"{where}: site {name!r}")
    return sites


def _site(entry: Mapping[str, object], name: str, where: str) -> ComputeSite:
    if unknown := sorted(set(entry) - _KEYS):
        raise ConfigError(f"{where}: there is no {unknown[0]!r}; a site has {', '.join(sorted(_KEYS))}.")
    pue = _number(entry.get("pue", 1.0), f"{where}: pue")
    if pue < 1:
        raise ConfigError(f"{where}: pue = {pue:g} is not allowed: a site draws no less than its computers, 1.")
    _, carbon = _curve(entry, "carbon", where, _CARBON)
    _, grid = _curve(entry, "water_grid", where, _WATER) if "water_grid" in entry else ("", (0.0,) * _HOURS)
    _, on_site = _curve(entry, "water_site", where, _WATER) if "water_site" in entry else ("", (0.0,) * _HOURS)
    unit, tariff = _curve(entry, "tariff", where, None)
    return ComputeSite(name, pue, carbon, grid, on_site, tariff, unit)


def _curve(
    entry: Mapping[str, object], key: str, where: str, units: Mapping[str, float] | None
) -> tuple[str, tuple[float, ...]]:
    """Read a figure of every hour; without units it is a tariff, and the currency comes with it."""
    where, given = f"{where}: {key}", entry.get(key)
    if not isinstance(given, dict) or "unit" not in given or "values" not in given:
        raise ConfigError(f'{where}: write it as {{ unit = "...", values = ..., source = "...", year = ... }}.')
    unit, values = str(given["unit"]), given["values"]
    currency, factor = _tariff_unit(unit, where) if units is None else ("", units.get(unit, math.nan))
    if units is not None and unit not in units:
        raise ConfigError(f"{where}: the unit {unit!r} is not known; write {' or '.join(units)}.")
    if isinstance(values, list) and len(values) != _HOURS:
        raise ConfigError(f"{where}: there are {len(values)} values; give one for each of the 24 hours, or a number.")
    numbers = [_number(value, where) for value in (values if isinstance(values, list) else [values] * _HOURS)]
    if units is not None and (below := [number for number in numbers if number < 0]):
        raise ConfigError(f"{where}: {below[0]:g} is not allowed: nothing is taken back by using energy.")
    return currency, tuple(number * factor for number in numbers)


def _tariff_unit(unit: str, where: str) -> tuple[str, float]:
    found = re.fullmatch(r"([A-Z]{3})/(k|M)Wh", unit)
    if found is None:
        raise ConfigError(
            f"{where}: the unit {unit!r} is not known; write a currency by energy, as EUR/kWh or USD/MWh."
        )
    return found[1], _ENERGY[f"{found[2]}Wh"]


def _number(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _LARGEST:
        raise ConfigError(f"{where}: {value!r} is not a number.")
    return float(value)
