"""Every question that can be asked of a scenario: each client, each thing it can dial."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address

from nodeport_lab.cells import (
    CLUSTER_IP,
    EXTERNAL_IP,
    LOAD_BALANCER,
    NODEPORT,
    POD_IP,
    as_client,
    outside_clients,
)
from nodeport_lab.model import (
    Client,
    Network,
    Pod,
    Protocol,
    Scenario,
    Service,
)
from nodeport_lab.services import Endpoint, served_ports
from nodeport_lab.testbeds.interface import Probe

_INSIDE_ONLY = frozenset({POD_IP, CLUSTER_IP})


@dataclass(frozen=True, slots=True)
class Target:
    """Something that can be dialled.

    Attributes:
        route: how (`cells.POD_IP`, ...).
        service: the Service; None for a pod's own address.
        address: what is dialled.
        port: the port dialled.
        protocol: over which it is dialled.
        node: whose address it is, for a NodePort.
        backends: who may answer.
    """

    route: str
    service: Service | None
    address: IPv4Address
    port: int
    protocol: Protocol
    node: str | None
    backends: tuple[Endpoint, ...]

    @property
    def server(self) -> Pod:
        """The first that may answer, which stands for the others where one must."""
        return self.backends[0].pod


@dataclass(frozen=True, slots=True)
class Question:
    """May this client reach that target?"""

    client: Client
    target: Target

    @property
    def identity(self) -> tuple[object, ...]:
        """What tells it from other questions, whatever addresses there are."""
        client, target = self.client, self.target
        return (
            client.pod.key if client.pod else client.name,
            target.route,
            target.service.key if target.service else target.server.key,
            target.node,
            target.port,
            target.protocol,
            str(target.address) if target.route == EXTERNAL_IP else "",
        )

    @property
    def probe(self) -> Probe:
        """The connection that asks it."""
        target = self.target
        return Probe(self.client, str(target.address), target.port, target.protocol)


@dataclass(frozen=True, slots=True)
class Questions:
    """All questions of a scenario, numbered without being written out.

    Attributes:
        inside: clients in the cluster.
        outside: clients outside of it, who have no way to pods and cluster IPs.
        targets: what can be dialled from inside.
        announced: those of them that can be dialled from outside.
    """

    inside: tuple[Client, ...]
    outside: tuple[Client, ...]
    targets: tuple[Target, ...]
    announced: tuple[Target, ...]

    def __len__(self) -> int:
        """How many there are at most; a pod's call to its own address is not asked."""
        return len(self.inside) * len(self.targets) + len(self.outside) * len(self.announced)

    def __getitem__(self, number: int) -> Question:
        """The question with a number from 0."""
        of_inside = len(self.inside) * len(self.targets)
        if number < of_inside:
            client, target = divmod(number, len(self.targets))
            return Question(self.inside[client], self.targets[target])
        client, target = divmod(number - of_inside, len(self.announced))
        return Question(self.outside[client], self.announced[target])

    def __iter__(self) -> Iterator[Question]:
        """Every question, in the order of its number."""
        for clients, targets in ((self.inside, self.targets), (self.outside, self.announced)):
            for client in clients:
                for target in targets:
                    yield Question(client, target)


def all_questions(scenario: Scenario, network: Network) -> Questions:
    """Every pod and a machine outside; every pod's ports and every Service by every route."""
    targets = (*_pods(scenario, network), *_services(scenario, network))
    _, behind_a_router = outside_clients()
    return Questions(
        inside=tuple(as_client(pod) for pod in scenario.pods),
        outside=(behind_a_router,),
        targets=targets,
        announced=tuple(one for one in targets if one.route not in _INSIDE_ONLY),
    )


def is_asked(question: Question) -> bool:
    """Whether a question makes sense: a call to one's own address leaves no pod."""
    target = question.target
    return target.route != POD_IP or question.client.pod != target.server


def _pods(scenario: Scenario, network: Network) -> Iterator[Target]:
    for pod in scenario.pods:
        for protocol, port in dict.fromkeys((port.protocol, port.port) for port in pod.ports):
            if protocol is not Protocol.SCTP:
                address = network.pods[pod.key]
                backends = (Endpoint(pod, port),)
                yield Target(POD_IP, None, address, port, protocol, None, backends)


def _services(scenario: Scenario, network: Network) -> Iterator[Target]:
    for served in served_ports(scenario):
        service, port = served.service, served.port
        if not served.backends:
            continue
        for route, address, number, node in _routes(
            service, port.port, port.node_port, scenario, network
        ):
            yield Target(route, service, address, number, port.protocol, node, served.backends)


def _routes(
    service: Service, port: int, node_port: int | None, scenario: Scenario, network: Network
) -> Iterator[tuple[str, IPv4Address, int, str | None]]:
    if service.key in network.cluster_ips:
        yield CLUSTER_IP, network.cluster_ips[service.key], port, None
    if node_port is not None:
        for node in scenario.nodes:
            yield NODEPORT, network.nodes[node.name], node_port, node.name
    if service.key in network.load_balancers:
        yield LOAD_BALANCER, network.load_balancers[service.key], port, None
    for outside in dict.fromkeys(service.external_ips):
        yield EXTERNAL_IP, IPv4Address(outside), port, None
