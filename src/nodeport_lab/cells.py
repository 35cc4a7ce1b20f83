"""Which cells an experiment has: every client, by every route, to every Service."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nodeport_lab.model import (
    Client,
    ClientKind,
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
LOAD_BALANCER = "load-balancer"
EXTERNAL_IP = "external-ip"


@dataclass(frozen=True, slots=True)
class Cell:
    """One question: may this client reach that server by this route?

    `server_pod` is a pod of the server's, told where its name alone would not do.
    """

    client: Client
    server: str
    service: str | None
    route: str
    dialled_node: str | None
    relation: Relation | None
    probe: Probe
    server_pod: Pod | None = None

    @property
    def way(self) -> str:
        """The route as on the command line: `nodeport:dev-worker`."""
        return f"{self.route}:{self.dialled_node}" if self.dialled_node else self.route


def pod_clients(scenario: Scenario) -> tuple[Client, ...]:
    """The pods that call: those that declare no port of their own."""
    return tuple(as_client(pod) for pod in scenario.pods if not pod.ports)


def as_client(pod: Pod) -> Client:
    """A pod in the part of the client."""
    kind = ClientKind.HOST_POD if pod.host_network else ClientKind.POD
    return Client(pod.name, kind, pod.node, pod)


def host_clients(scenario: Scenario) -> tuple[Client, ...]:
    """A process on every worker, outside of any pod."""
    return tuple(
        Client(f"host:{node.name}", ClientKind.HOST, node.name)
        for node in scenario.nodes
        if not node.control_plane
    )


def outside_clients() -> tuple[Client, ...]:
    """A machine on the nodes' network, and one behind a router."""
    return (
        Client("external", ClientKind.EXTERNAL),
        Client("external-routed", ClientKind.EXTERNAL),
    )


def enumerate_cells(
    scenario: Scenario,
    network: Network,
    callers: Sequence[Client] | None = None,
    protocol: Protocol = Protocol.TCP,
) -> tuple[Cell, ...]:
    """Every cell of a scenario, in a fixed order: client, Service, route, node.

    Args:
        scenario: Services and pods.
        network: their addresses.
        callers: who calls; None for the pods that declare no port.
        protocol: of the ports that are dialled.
    """
    return tuple(
        cell
        for client in (pod_clients(scenario) if callers is None else callers)
        for service in scenario.services
        for port in service.ports
        if port.protocol is protocol
        for cell in _cells(client, service, port, scenario, network)
    )


def relation(client: Client, node: str, backends: Sequence[Endpoint]) -> Relation:
    """How a dialled node relates to the client; its own node comes before the backend's."""
    if node == client.node:
        return Relation.OWN_NODE
    if any(backend.pod.node == node for backend in backends):
        return Relation.OTHER_NODE
    return Relation.THIRD_NODE


def _cells(
    client: Client, service: Service, port: ServicePort, scenario: Scenario, network: Network
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
            probe=Probe(client, str(address), number, port.protocol),
        )

    if port.node_port is not None:
        for node in scenario.nodes:
            yield cell(NODEPORT, network.nodes[node.name], port.node_port, node.name)
    balanced = network.load_balancers.get(service.key)
    if balanced is not None:
        yield cell(LOAD_BALANCER, balanced, port.port)
    for address in service.external_ips:
        yield cell(EXTERNAL_IP, address, port.port)
    if client.kind is ClientKind.EXTERNAL:
        return  # nothing routes a cluster IP or a pod's address to a machine outside
    if service.key in network.cluster_ips:
        yield cell(CLUSTER_IP, network.cluster_ips[service.key], port.port)
    for backend in backends:
        yield cell(POD_IP, network.pods[backend.pod.key], backend.port)
