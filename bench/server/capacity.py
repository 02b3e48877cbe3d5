"""How many conversations a graphics processor would hold: a calculation, not a measurement.

One step of decoding reads all weights once and the cache of every running stream once, so it takes

    step_s = (weights + streams * context * cache_per_token) / bandwidth

and gives each stream one token. A conversation that is being answered runs `streams_each` streams at a time and spends
`tokens_per_s` tokens a second, of all of them together; it is being answered for the share `answering` of its time. Its
first clause is written after `tokens_to_first` tokens, one after another. So many conversations fit as leave each
stream its tokens in time, the first clause in particular, and stay within the batch:

    streams <= batch    and    step_s <= streams_each / tokens_per_s    and    step_s <= first_s / tokens_to_first

Prefill, sampling and the network are left out, so it is an upper bound. Knows no server.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FleetLoad:
    """What one conversation asks of a server; measured."""

    tokens_per_s: float
    """Tokens computed in a second of answering, of all its streams."""
    streams_each: float
    """Streams that run at a time while it is being answered."""
    tokens_to_first: float
    """Tokens, one after another, until the first clause of an answer is written."""
    answering: float
    """Share of the time in which it is being answered, 0..1."""


@dataclass(frozen=True, slots=True)
class Hardware:
    """What is calculated for."""

    bandwidth: float
    """Bytes read in a second."""
    batch: int
    """Streams in one step, at most (`--max-num-seqs`)."""
    weights: float
    """Bytes of all weights."""
    cache_per_token: float
    """Bytes of keys and values of one token."""
    context: int
    """Tokens that a stream reads."""
    first_s: float
    """Seconds that may pass until the first clause is written."""


def conversations(load: FleetLoad, hardware: Hardware) -> int:
    """Give the number of conversations that fit; 0 where not even one does."""
    if min(load.tokens_per_s, load.streams_each, load.tokens_to_first, load.answering) <= 0:
        return 0
    slowest_s = min(load.streams_each / load.tokens_per_s, hardware.first_s / load.tokens_to_first)
    room = slowest_s * hardware.bandwidth - hardware.weights
    by_speed = room / (hardware.context * hardware.cache_per_token)
    streams = min(float(hardware.batch), by_speed)
    return max(0, int(streams / (load.streams_each * load.answering)))
