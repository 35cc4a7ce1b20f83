"""Which cells an experiment has: every client, by every route, to every Service."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nodeport_lab.model import (
    Network,
    Pod,
    Protocol,
    Relation,
    Scenario,
    Service,
    ServicePort,
)
from nodeport_lab.services import Endpoint, endpoints
from nodeport_lab.testbeds.interface import Probe

POD_IP = "pod-ip"
CLUSTER_IP = "cluster-ip"
NODEPORT = "nodeport"


@dataclass(frozen=True, slots=True)
class Cell:
    """One question: may this client reach that server by this route?"""

    client: Pod
    server: str
    service: str | None
    route: str
    dialled_node: str | None
    relation: Relation | None
    probe: Probe


def clients(scenario: Scenario) -> tuple[Pod, ...]:
    """The pods that call: those that declare no port of their own."""
    return tuple(pod for pod in scenario.pods if not pod.ports)


def enumerate_cells(scenario: Scenario, network: Network) -> tuple[Cell, ...]:
    """Every cell of a scenario over TCP, in a fixed order: client, Service, route, node."""
    return tuple(
        cell
        for client in clients(scenario)
        for service in scenario.services
        for port in service.ports
        if port.protocol is Protocol.TCP
        for cell in _cells(client, service, port, scenario, network)
    )


def relation(client: Pod, node: str, backends: Sequence[Endpoint]) -> Relation:
    """How a dialled node relates to the client; its own node comes before the backend's."""
    if node == client.node:
        return Relation.OWN_NODE
    if any(backend.pod.node == node for backend in backends):
        return Relation.OTHER_NODE
    return Relation.THIRD_NODE


def _cells(
    client: Pod, service: Service, port: ServicePort, scenario: Scenario, network: Network
) -> Iterator[Cell]:
    backends = endpoints(scenario, service, port)
    if not backends:
        return

    def cell(route: str, address: object, number: int, node: str | None = None) -> Cell:
        return Cell(
            client=client,
            server=backends[0].pod.workload,
            service=None if route == POD_IP else service.name,
            route=route,
            dialled_node=node,
            relation=relation(client, node, backends) if node else None,
            probe=Probe(client, str(address), number),
        )

    if port.node_port is not None:
        for node in scenario.nodes:
            yield cell(NODEPORT, network.nodes[node.name], port.node_port, node.name)
    if service.key in network.cluster_ips:
        yield cell(CLUSTER_IP, network.cluster_ips[service.key], port.port)
    for backend in backends:
        yield cell(POD_IP, network.pods[backend.pod.key], backend.port)
