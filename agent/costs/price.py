"""What energy costs at this moment, by its mean over the day: what `loop.budget` goes by."""

from __future__ import annotations

from datetime import UTC, datetime
from statistics import fmean
from typing import TYPE_CHECKING, Final

from agent.costs.options import site_named
from agent.costs.routing import CostWeights

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.costs.options import CostOptions
    from agent.costs.site import ComputeSite

_HOURS: Final = range(24)


def relative_price(site: ComputeSite | None, hour: int, weights: CostWeights | None = None) -> float:
    """Give the price of an hour (UTC) by the day's mean: 1 without a site, or where the mean is not above 0.

    weights: what counts; carbon alone where they are left out. Below 0 it never is.
    """
    if site is None:
        return 1.0
    weights = weights or CostWeights()
    prices = [weights.price(site.footprint(1.0, each)) for each in _HOURS]
    mean = fmean(prices)
    return max(0.0, prices[hour % len(_HOURS)] / mean) if mean > 0 else 1.0


def price_now(options: CostOptions) -> Callable[[], float]:
    """Give what tells the price of this moment at the site of the settings. Raises ConfigError."""
    site = site_named(options) if options.site else None
    return lambda: relative_price(site, datetime.now(UTC).hour)
