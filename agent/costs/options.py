"""Settings of the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from agent.errors import ConfigError
from descant.ranges import Range

if TYPE_CHECKING:
    from agent.costs.site import ComputeSite


@dataclass(frozen=True, slots=True)
class CostOptions:
    """What turns cost, and where."""

    site: str = ""
    """Where it is computed: a name of the table of sites; empty: joules are told, and no carbon, water or money."""
    table: Path | None = None
    """Table of sites (TOML), see docs/costs.md; without one, the public examples spain, california, norway, brazil."""
    watts_a_core: Annotated[float, Range(0.1, 200, "no core draws less or more")] = 3.5
    """Watts of a busy core, for the estimate where the processor's own meter cannot be read; docs/costs.md."""
    in_usage: bool = False
    """Whether a server tells clients what each response cost: `cost` in the `usage` of `response.done`."""

    def __post_init__(self) -> None:
        """Open `~`, which no shell opens in a file."""
        if self.table is not None:
            object.__setattr__(self, "table", self.table.expanduser())


def site_named(options: CostOptions) -> ComputeSite | None:
    """Find the site of the settings; None where none is named. Raises ConfigError."""
    from agent.costs.site import read_sites, shipped_sites  # noqa: PLC0415 - only whoever asks for costs reads tables

    sites = shipped_sites() if options.table is None else read_sites(options.table)
    if not options.site:
        return None
    if options.site not in sites:
        raise ConfigError(f"costs.site = {options.site!r}: there is no such site; there are {', '.join(sites)}.")
    return sites[options.site]
