"""Cells: who can be asked to call whom, and how."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from nodeport_lab.cells import (
    Cell,
    as_client,
    enumerate_cells,
    host_clients,
    outside_clients,
    pod_clients,
    relation,
)
from nodeport_lab.model import (
    Client,
    ClientKind,
    ContainerPort,
    Node,
    Pod,
    Protocol,
    Relation,
    Scenario,
    Service,
    ServicePort,
)
from nodeport_lab.services import Endpoint
from nodeport_lab.testbeds.embedded.addressing import plan_network

SERVES = (("app", "web"),)
SERVER = Pod("red", "web-0", "w1", SERVES, (ContainerPort(8080, name="http"),), workload="web")
NEAR = Pod("red", "near", "w1", workload="near")
FAR = Pod("red", "far", "w2", workload="far")
HOST = Pod("red", "host", "w2", host_network=True, workload="host")
PORT = ServicePort(80, "http", node_port=30080)
WEB = Service("red", "web", SERVES, (PORT,), "NodePort")
SCENARIO = Scenario(
    "test",
    (Node("cp", control_plane=True), Node("w1"), Node("w2")),
    (),
    (SERVER, NEAR, FAR, HOST),
    (WEB,),
    (),
)
NETWORK = plan_network(SCENARIO)


def routes(cells: Iterable[Cell]) -> list[str]:
    """The routes of cells in words: `nodeport:w1`."""
    return [
        f"{cell.route}:{cell.dialled_node}" if cell.dialled_node else cell.route for cell in cells
    ]


def of(service: Service, *callers: Client, scenario: Scenario = SCENARIO) -> tuple[Cell, ...]:
    """The cells of a scenario with only this Service."""
    changed = replace(scenario, services=(service,))
    return enumerate_cells(changed, plan_network(changed), callers or None)


@pytest.mark.parametrize(
    ("client", "node", "expected"),
    [
        (as_client(NEAR), "w1", Relation.OWN_NODE),
        (as_client(NEAR), "w2", Relation.THIRD_NODE),
        (as_client(FAR), "w1", Relation.OTHER_NODE),
        (as_client(FAR), "w2", Relation.OWN_NODE),
        (as_client(FAR), "cp", Relation.THIRD_NODE),
        (Client("host:w2", ClientKind.HOST, "w2"), "w2", Relation.OWN_NODE),
        (Client("external", ClientKind.EXTERNAL), "w1", Relation.OTHER_NODE),
        (Client("external", ClientKind.EXTERNAL), "w2", Relation.THIRD_NODE),
    ],
)
def test_a_relation_is_of_the_dialled_node_to_the_client(
    client: Client, node: str, expected: Relation
) -> None:
    """The client's own node comes first, also where the backend shares it."""
    assert expected is relation(client, node, [Endpoint(SERVER, 8080)])


def test_with_two_backends_either_node_is_the_other_one() -> None:
    """Whoever hosts one of the backends is no third node."""
    backends = [Endpoint(SERVER, 8080), Endpoint(replace(SERVER, name="web-1", node="cp"), 8080)]

    assert Relation.OTHER_NODE is relation(as_client(FAR), "cp", backends)


def test_a_pod_has_every_route_of_a_node_port_service() -> None:
    """Every node's port, the cluster IP and the pod itself, each with its own port number."""
    cells = of(WEB, as_client(FAR))

    assert ["nodeport:cp", "nodeport:w1", "nodeport:w2", "cluster-ip", "pod-ip"] == routes(cells)
    assert [30080, 30080, 30080, 80, 8080] == [cell.probe.port for cell in cells]
    assert [
        *map(str, NETWORK.nodes.values()),
        str(NETWORK.cluster_ips["red/web"]),
        str(NETWORK.pods["red/web-0"]),
    ] == [cell.probe.address for cell in cells]
    assert {("web", FAR.name)} == {(cell.server, cell.client.name) for cell in cells}
    assert ["web"] * 4 + [None] == [cell.service for cell in cells]


def test_a_machine_outside_reaches_only_nodes_and_outside_addresses() -> None:
    """Nothing routes a cluster IP or a pod's address to it."""
    service = replace(WEB, type_="LoadBalancer", external_ips=("172.18.0.221",))

    for client in outside_clients():
        assert ["nodeport:cp", "nodeport:w1", "nodeport:w2", "load-balancer", "external-ip"] == (
            routes(of(service, client))
        )
        assert [] == routes(of(replace(WEB, ports=(ServicePort(80, "http"),)), client))


def test_addresses_outside_are_dialled_on_the_services_own_port() -> None:
    """A load balancer's address and an external IP; no node is dialled by them."""
    service = replace(
        WEB,
        type_="LoadBalancer",
        ports=(ServicePort(80, "http"),),
        external_ips=("172.18.0.221", "172.18.0.222"),
    )
    balanced, *given = of(service, as_client(FAR))[:3]
    network = plan_network(replace(SCENARIO, services=(service,)))

    assert ("load-balancer", str(network.load_balancers["red/web"]), 80, None) == (
        balanced.route,
        balanced.probe.address,
        balanced.probe.port,
        balanced.relation,
    )
    assert [("external-ip", "172.18.0.221", 80), ("external-ip", "172.18.0.222", 80)] == [
        (cell.route, cell.probe.address, cell.probe.port) for cell in given
    ]


def test_a_headless_service_has_no_cluster_ip() -> None:
    """Its pods are dialled; there is no address to balance."""
    headless = Service("red", "web", SERVES, (ServicePort(80, "http"),), cluster_ip="None")

    assert ["pod-ip"] == routes(of(headless, as_client(FAR)))


def test_a_service_without_a_backend_asks_nothing() -> None:
    """There is no server that could be meant."""
    assert () == of(replace(WEB, selector=(("app", "nobody"),)))


def test_every_backend_is_dialled_by_its_own_address() -> None:
    """Service addresses once, pods each."""
    second = replace(SERVER, name="web-1", node="w2")
    scenario = replace(SCENARIO, pods=(*SCENARIO.pods, second))
    cells = of(WEB, as_client(FAR), scenario=scenario)

    assert ["cluster-ip", "pod-ip", "pod-ip"] == routes(cells)[3:]
    assert 2 == len({cell.probe.address for cell in cells if cell.route == "pod-ip"})


def test_cells_are_of_one_protocol() -> None:
    """A Service with ports of both has cells of the one that is asked for."""
    both = replace(WEB, ports=(PORT, ServicePort(53, 8080, Protocol.UDP, name="dns")))
    scenario = replace(SCENARIO, services=(both,))
    over_udp = enumerate_cells(scenario, NETWORK, protocol=Protocol.UDP)

    assert {(Protocol.UDP, 53), (Protocol.UDP, 8080)} == {
        (cell.probe.protocol, cell.probe.port) for cell in over_udp
    }
    assert {Protocol.TCP} == {cell.probe.protocol for cell in enumerate_cells(scenario, NETWORK)}


def test_clients_are_what_they_run_in() -> None:
    """Pods without ports call; a host-network pod is told apart; hosts are workers only."""
    assert [
        ("near", ClientKind.POD, "w1", NEAR),
        ("far", ClientKind.POD, "w2", FAR),
        ("host", ClientKind.HOST_POD, "w2", HOST),
    ] == [(one.name, one.kind, one.node, one.pod) for one in pod_clients(SCENARIO)]
    assert [
        ("host:w1", ClientKind.HOST, "w1", None),
        ("host:w2", ClientKind.HOST, "w2", None),
    ] == [(one.name, one.kind, one.node, one.pod) for one in host_clients(SCENARIO)]
    assert {(ClientKind.EXTERNAL, None, None)} == {
        (one.kind, one.node, one.pod) for one in outside_clients()
    }


def test_unless_told_otherwise_the_pods_without_ports_call() -> None:
    """Servers do not call each other by default."""
    assert {"near", "far", "host"} == {cell.client.name for cell in of(WEB)}
