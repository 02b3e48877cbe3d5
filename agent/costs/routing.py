"""Which of several sites answers the next turn: where it costs least of those that answer soon enough. Pure.

Time to the first clause is a hard limit; among the sites that keep it the weighted sum of carbon, water and money is
least. A conversation stays where it is; it moves between turns alone, if the gain is worth it and the history is read
again within the time for which the user speaks anyway.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.costs.site import Footprint


@dataclass(frozen=True, slots=True)
class CostWeights:
    """What a gram of CO2e, a millilitre of water and a unit of money are worth, in one currency of your choice."""

    gram: float = 1.0
    millilitre: float = 0.0
    money: float = 0.0

    def price(self, cost: Footprint) -> float:
        """Give the weighted sum."""
        return self.gram * cost.grams + self.millilitre * cost.millilitres + self.money * cost.money


@dataclass(frozen=True, slots=True)
class Offer:
    """What a site offers to a conversation for its next turn."""

    site: str
    first_clause_s: float
    """Expected seconds to the first clause, the way to the user and back included."""
    cost: Footprint
    """Of a turn."""
    free: int
    """Places; that of the conversation itself, where it is there, is not counted."""
    reread_s: float = 0.0
    """Seconds in which the conversation's history would be read there."""


@dataclass(frozen=True, slots=True)
class SiteRouter:
    """Chooses sites. Keeps no state: where a conversation is, its caller knows."""

    weights: CostWeights
    limit_s: float
    """Seconds to the first clause that a site must keep."""
    gain: float = 0.15
    """Share of the price that a move must save: forecasts are no better, and each move reads the history again."""

    def choose(self, offers: Sequence[Offer], *, now_at: str = "", speaking_s: float = 0.0) -> str | None:
        """Choose the site of the next turn; None where no site has a place.

        now_at: where the conversation is; empty for a new one. speaking_s: seconds for which the user will speak.
        Where no site keeps the limit, a new conversation gets the quickest, and one that is somewhere stays.
        """
        here = next((offer for offer in offers if offer.site == now_at), None)
        open_to = [offer for offer in offers if offer.free > 0 and offer is not here]
        if here is not None:
            open_to = [offer for offer in open_to if offer.reread_s <= speaking_s]
        soon = [offer for offer in open_to if offer.first_clause_s <= self.limit_s]
        best = min(soon, key=lambda offer: (self.weights.price(offer.cost), offer.site), default=None)
        if here is None:
            best = best or min(open_to, key=lambda offer: (offer.first_clause_s, offer.site), default=None)
            return None if best is None else best.site
        if best is None:
            return here.site
        price = self.weights.price(here.cost)
        late, saved = here.first_clause_s > self.limit_s, price - self.weights.price(best.cost)
        return best.site if late or saved > self.gain * abs(price) else here.site
