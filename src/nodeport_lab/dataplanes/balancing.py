"""Choosing one backend of a Service and translating to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nodeport_lab.dataplanes.nftables import Table, elements, identifier
from nodeport_lab.model import Network
from nodeport_lab.services import Endpoint


def add_backends(  # noqa: PLR0913 - what is chosen from, and how
    table: Table,
    name: tuple[str, ...],
    network: Network,
    protocol: str,
    backends: Sequence[Endpoint],
    *,
    before: Callable[[Endpoint], list[str]] = lambda _backend: [],
) -> str:
    """Add a chain that picks a backend at random, with one chain per backend.

    Args:
        table: where to.
        name: kind of the chain and what it is for.
        network: addresses of the backends.
        protocol: `tcp` or `udp`.
        backends: what to choose from; with none, packets are dropped.
        before: rules to be met before a packet is translated to a certain backend.

    Returns:
        the name of the chain.
    """
    picks = []
    for number, backend in enumerate(backends):
        address = network.pods[backend.pod.key]
        translation = f"meta l4proto {protocol} dnat to {address}:{backend.port}"
        endpoint = identifier(f"{name[0]}-endpoint", *name[1:], str(number))
        table.chain(endpoint, [*before(backend), translation])
        picks.append(f"{number} : goto {endpoint}")
    chain = identifier(*name)
    pick = f"numgen random mod {len(picks)} vmap {elements(picks)}"
    table.chain(chain, [pick] if picks else ["drop"])
    return chain
