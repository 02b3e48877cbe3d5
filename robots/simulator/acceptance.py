"""Whether an order is one that the simulated robot can carry out, apart from where it stands and what it does now."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from robots.protocols.vda5050.messages import ActionScope
from robots.simulator.factsheet import ABILITIES

if TYPE_CHECKING:
    from robots.protocols.vda5050.messages import Order


class Refusal(Exception):
    """An order is not accepted; carries the error type that the state reports (6.6.4)."""

    def __init__(self, error_type: str, why: str) -> None:
        super().__init__(why)
        self.error_type = error_type


def check_route(order: Order, map_id: str) -> None:
    """Check form and content.

    Raises:
        Refusal: no route of base and horizon, off the map, or something that the robot cannot do.

    """
    if not _is_route(order):
        raise Refusal("validationError", "nodes and edges do not form a route of base and horizon")
    for node in order.nodes:
        if node.node_position is None or node.node_position.map_id != map_id:
            raise Refusal("noRouteError", f"node {node.node_id} is not on map {map_id}")
        for action in node.actions:
            ability = ABILITIES.get(action.action_type)
            if ability is None or ActionScope.NODE not in ability.scopes:
                raise Refusal("orderError", f"cannot do {action.action_type} at a node")
    if any(edge.actions or edge.corridor for edge in order.edges):
        raise Refusal("orderError", "edge actions and corridors are not supported")


def _is_route(order: Order) -> bool:
    """Whether nodes and edges alternate, are numbered through, and the base comes before the horizon (6.6.1)."""
    first = order.nodes[0].sequence_id
    return (
        len(order.edges) == len(order.nodes) - 1
        and order.nodes[0].released
        and first % 2 == 0
        and all(node.sequence_id == first + 2 * k for k, node in enumerate(order.nodes))
        and all(edge.sequence_id == first + 2 * k + 1 for k, edge in enumerate(order.edges))
        and all(a.released or not b.released for a, b in pairwise(order.nodes))
        and all(
            edge.released == b.released and (edge.start_node_id, edge.end_node_id) == (a.node_id, b.node_id)
            for edge, (a, b) in zip(order.edges, pairwise(order.nodes), strict=True)
        )
    )
