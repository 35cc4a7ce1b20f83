"""What policy saw, in words: whose address it was, from the point of view of a cell.

Addresses differ between testbeds, and say little to people; "the dialled node" says what
had been translated by then.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address

from nodeport_lab.model import Direction, Network, Observation, Run, Scenario
from nodeport_lab.report.grid import CONTROL

NOT_EVALUATED = "not evaluated"
"""No policy hook recorded the packet."""


@dataclass(frozen=True, slots=True)
class Names:
    """Whose address is whose in a scenario.

    Attributes:
        network: the addresses.
        servers: of the pods that serve.
        external: external IPs of Services.
        proxies: of the pods in which a program passes requests on.
    """

    network: Network
    servers: tuple[IPv4Address, ...]
    external: tuple[IPv4Address, ...] = ()
    proxies: tuple[IPv4Address, ...] = ()


def names(scenario: Scenario, network: Network) -> Names:
    """The names of a scenario's addresses."""
    return Names(
        network,
        servers=tuple(
            network.pods[pod.key] for pod in scenario.pods if pod.ports and pod.program is None
        ),
        proxies=tuple(network.pods[pod.key] for pod in scenario.pods if pod.program is not None),
        external=tuple(
            IPv4Address(address)
            for service in scenario.services
            for address in service.external_ips
        ),
    )


def direction(run: Run) -> Direction:
    """The side on which a run's policies are evaluated; the clients' where both are."""
    found = {cell.direction for cell in run.observations if cell.policy != CONTROL}
    return Direction.INGRESS if found == {Direction.INGRESS} else Direction.EGRESS


def looking(run: Run) -> tuple[Observation, ...]:
    """The cells in which policy looked at the packets of the run's direction."""
    wanted = direction(run)
    return tuple(cell for cell in run.observations if cell.direction is wanted)


def seen_address(cell: Observation) -> str | None:
    """What policy saw: a destination with its port, or the address of a source."""
    if cell.direction is Direction.EGRESS:
        return cell.seen_destination
    return cell.seen_source and cell.seen_source.rpartition(":")[0]


def seen_name(cell: Observation, known: Names) -> str:
    """What policy saw, in words: `server pod:8080`, `dialled node`."""
    seen = seen_address(cell)
    if seen is None:
        return NOT_EVALUATED
    address, colon, port = seen.partition(":")
    places = _destinations if cell.direction is Direction.EGRESS else _sources
    unknown = "client" if cell.client_node is None else address
    found = next(
        (name for name, place in places(cell, known) if place == IPv4Address(address)), unknown
    )
    return f"{found}{colon}{port}"


def _destinations(cell: Observation, known: Names) -> Iterable[tuple[str, IPv4Address | None]]:
    network = known.network
    yield from _serving(known)
    yield "dialled node", network.nodes.get(cell.dialled_node or "")
    yield from (("load balancer", address) for address in network.load_balancers.values())
    yield from (("external IP", address) for address in known.external)
    yield from (("ClusterIP", address) for address in network.cluster_ips.values())
    yield from _nodes(cell, network)


def _sources(cell: Observation, known: Names) -> Iterable[tuple[str, IPv4Address | None]]:
    network = known.network
    yield from _nodes(cell, network)
    yield from _serving(known)
    yield "client pod", network.pods.get(f"{cell.namespace}/{cell.client}")
    yield from (("another node", address) for address in network.nodes.values())
    yield from (("another node (tunnel)", address) for address in network.tunnels.values())


def _serving(known: Names) -> Iterable[tuple[str, IPv4Address]]:
    yield from (("server pod", address) for address in known.servers)
    yield from (("proxy pod", address) for address in known.proxies)


def _nodes(cell: Observation, network: Network) -> Iterable[tuple[str, IPv4Address | None]]:
    for whose, node in (
        ("client's node", cell.client_node),
        ("dialled node", cell.dialled_node),
        ("server's node", cell.backend_node),
    ):
        yield whose, network.nodes.get(node or "")
        yield f"{whose} (tunnel)", network.tunnels.get(node or "")
