"""The embedded testbed: verdicts come from packets, and only from packets."""

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from support.users import manifests, pod, service

from nodeport_lab.cells import Cell, as_client, enumerate_cells
from nodeport_lab.dataplanes import DATAPLANES
from nodeport_lab.experiment import find_policy
from nodeport_lab.manifests import read_objects
from nodeport_lab.manifests.policies import read_policy
from nodeport_lab.model import (
    Action,
    ContainerPort,
    Direction,
    Protocol,
    Scenario,
    Verdict,
)
from nodeport_lab.testbeds.embedded import EmbeddedTestbed
from nodeport_lab.testbeds.interface import Probe
from nodeport_lab.trace import EventKind, parse

DEADLINE = 0.2

PORTS_POLICY = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: ports, namespace: nodeport-lab}
spec:
  podSelector: {matchLabels: {app: client}}
  policyTypes: [Egress]
  egress:
  - ports:
    - {port: http}
    - {port: 9000, endPort: 9010}
"""

# Where each dataplane evaluates policy, by the names of its chains in the kernel.
POLICY_CHAINS = {
    name: {"FORWARD", "INPUT"} if name.startswith("calico") else {"from-container", "to-container"}
    for name in DATAPLANES
}


@pytest.fixture(scope="module", params=sorted(DATAPLANES))
def testbed(request: pytest.FixtureRequest, scenario: Scenario) -> Iterator[EmbeddedTestbed]:
    """A running testbed, one per dataplane."""
    with EmbeddedTestbed(scenario, DATAPLANES[request.param], {}) as running:
        yield running


@pytest.fixture(scope="module")
def calico(scenario: Scenario) -> Iterator[EmbeddedTestbed]:
    """A running testbed of calico-iptables."""
    with EmbeddedTestbed(scenario, DATAPLANES["calico-iptables"], {}) as running:
        yield running


def cells_of(testbed: EmbeddedTestbed) -> list[Cell]:
    """Every cell of the testbed's scenario."""
    return list(enumerate_cells(testbed.scenario, testbed.network))


def test_every_control_probe_is_answered(testbed: EmbeddedTestbed) -> None:
    """Without policy every client reaches the server by every route."""
    testbed.apply(())

    results = testbed.probe([cell.probe for cell in cells_of(testbed)], DEADLINE)

    assert {result.verdict for result in results} == {Verdict.ALLOWED}


def test_unselected_pods_leave_evidence_too(testbed: EmbeddedTestbed) -> None:
    """Without policy the hooks still record the tuple they saw, as not selected."""
    testbed.apply(())

    results = testbed.probe([cell.probe for cell in cells_of(testbed)], DEADLINE)

    assert all(
        [decision.rule for decision in result.decisions] == ["not-selected", "not-selected"]
        and [decision.direction for decision in result.decisions]
        == [Direction.EGRESS, Direction.INGRESS]
        for result in results
    )


@pytest.mark.parametrize("name", ["deny-egress", "both", "podselector-server", "ipblock-nodes"])
def test_verdicts_are_the_conjunction_of_decisions(testbed: EmbeddedTestbed, name: str) -> None:
    """A probe is allowed if every decision allows, and times out if one denies."""
    policy = find_policy(testbed.scenario, name)
    assert policy is not None
    testbed.apply([policy])

    results = testbed.probe([cell.probe for cell in cells_of(testbed)], DEADLINE)

    for result in results:
        denied = any(decision.action is Action.DENY for decision in result.decisions)
        assert result.verdict is (Verdict.TIMEOUT if denied else Verdict.ALLOWED)


@pytest.mark.parametrize("name", ["no-policy", "both", "podselector-server", "ipblock-nodes"])
def test_records_agree_with_the_kernels_trace(testbed: EmbeddedTestbed, name: str) -> None:
    """Every decision recorded is in the trace, with the same tuple and outcome, and no other is."""
    policy = find_policy(testbed.scenario, name)
    testbed.apply([policy] if policy else [])
    chains = POLICY_CHAINS[testbed.dataplane.name]
    cells = cells_of(testbed)

    results, traces = testbed.trace([cell.probe for cell in cells], DEADLINE)

    recorded = {
        (decision.node, decision.seen_source, decision.seen_destination, decision.action)
        for result in results
        for decision in result.decisions
    }
    traced = set()
    for node, text in traces.items():
        events = list(parse(text))
        first_packets = [
            event
            for event in events
            if event.kind is EventKind.PACKET
            and event.chain in chains
            and event.addresses is not None
            and re.search(r"tcp flags (== )?syn ", event.text)
        ]
        for packet in first_packets:
            assert packet.addresses is not None
            dropped = any(
                event.packet == packet.packet
                and event.chain == packet.chain
                and event.verdict == "drop"
                for event in events
            )
            action = Action.DENY if dropped else Action.ALLOW
            traced.add((node, packet.addresses.source, packet.addresses.destination, action))
    # A packet passes some policy chains on which no pod of the scenario hangs.
    pods = {str(address) for address in testbed.network.pods.values()}
    decided_somewhere = {entry for entry in traced if _touches_pod_door(testbed, entry, pods)}
    assert recorded == decided_somewhere
    assert len(recorded) >= len(cells)


def _touches_pod_door(
    testbed: EmbeddedTestbed, entry: tuple[str, str, str, Action], pods: set[str]
) -> bool:
    """Whether the node of a traced packet hosts the pod that sent or will receive it."""
    node, source, destination, _ = entry
    hosted = {
        str(testbed.network.pods[pod.key]) for pod in testbed.scenario.pods if pod.node == node
    }
    ends = {source.rpartition(":")[0], destination.rpartition(":")[0]}
    return bool(hosted & ends & pods)


def test_nobody_listening_is_refused(calico: EmbeddedTestbed) -> None:
    """A port on which nothing listens is refused, which is not a denial."""
    calico.apply(())
    client = next(pod for pod in calico.scenario.pods if pod.name == "client-a")
    server = next(pod for pod in calico.scenario.pods if pod.workload == "hello")
    probe = Probe(as_client(client), str(calico.network.pods[server.key]), 8081)

    (result,) = calico.probe([probe], DEADLINE)

    assert result.verdict is Verdict.REFUSED


def test_silence_without_a_drop_is_an_error(calico: EmbeddedTestbed) -> None:
    """A probe that nobody answers and no hook dropped is an error, never a timeout."""
    calico.apply(())
    client = next(pod for pod in calico.scenario.pods if pod.name == "client-a")
    nobody = Probe(as_client(client), str(calico.network.node_pod_cidrs[client.node][200]), 8080)

    (result,) = calico.probe([nobody], 0.05)

    assert result.verdict is Verdict.ERROR
    assert result.detail


def test_the_application_logs_what_masquerading_left(calico: EmbeddedTestbed) -> None:
    """Through another node's port the server sees a node, directly it sees the client."""
    calico.apply(())
    by_route = {
        (cell.route, cell.relation): calico.probe([cell.probe], DEADLINE)[0]
        for cell in cells_of(calico)
        if cell.client.name == "client-b"
    }
    nodes = {str(address) for address in calico.network.nodes.values()}
    client = str(calico.network.pods["nodeport-lab/client-b"])

    sources = {
        route: (result.application_source or "").rpartition(":")[0]
        for (route, _), result in by_route.items()
    }

    assert sources["pod-ip"] == sources["cluster-ip"] == client
    assert sources["nodeport"] in nodes


def test_named_ports_and_ranges_are_matched_by_the_kernel(scenario: Scenario) -> None:
    """Several ports, a range and a name: each admits exactly its own."""
    server = replace(
        next(pod for pod in scenario.pods if pod.workload == "hello"),
        ports=(
            ContainerPort(8080, Protocol.TCP, "http"),
            ContainerPort(9000),
            ContainerPort(9005),
            ContainerPort(9011),
        ),
    )
    pods = tuple(server if pod.key == server.key else pod for pod in scenario.pods)
    policy = read_policy(read_objects(PORTS_POLICY, "ports.yaml")[0])
    with EmbeddedTestbed(
        replace(scenario, pods=pods), DATAPLANES["calico-iptables"], {}
    ) as running:
        client = next(as_client(pod) for pod in pods if pod.name == "client-b")
        address = str(running.network.pods[server.key])
        running.apply([policy])
        results = running.probe(
            [Probe(client, address, port.port) for port in server.ports], DEADLINE
        )

    assert [result.verdict for result in results] == [
        Verdict.ALLOWED,
        Verdict.ALLOWED,
        Verdict.ALLOWED,
        Verdict.TIMEOUT,
    ]


def test_more_pods_than_the_kernel_remembers_neighbours() -> None:
    """Each call needs four neighbours; with over 1,024 in all, ARP loses some of them."""
    many = [pod(f"client-{number}") for number in range(600)]
    scenario = manifests(pod("server", port=8080), *many, nodes=3).scenario
    callers = [one for one in scenario.pods if one.name != "server"]
    with EmbeddedTestbed(scenario, DATAPLANES["calico-iptables"], {}) as running:
        address = str(running.network.pods["shop/server"])
        probes = [Probe(as_client(one), address, 8080, Protocol.TCP) for one in callers]
        results = running.probe(probes, 1.0)

    assert [] == [result for result in results if result.verdict is not Verdict.ALLOWED]


def test_hundreds_of_services_are_served() -> None:
    """Their maps take several transactions; the first and the last of them answer."""
    number = 500
    services = [
        service(f"web-{port}", f"{{type: NodePort, selector: {{app: web}}, ports: [{ports}]}}")
        for port in range(number)
        for ports in (f"{{port: {1000 + port}, targetPort: 8080, nodePort: {30000 + port}}}",)
    ]
    scenario = manifests(pod("web", port=8080), pod("client"), *services, nodes=2).scenario
    client = as_client(next(one for one in scenario.pods if one.name == "client"))
    with EmbeddedTestbed(scenario, DATAPLANES["cilium-kpr"], {}) as running:
        node = str(running.network.nodes[client.node or ""])
        probes = [Probe(client, node, 30000 + port, Protocol.TCP) for port in range(number)]
        probes += [
            Probe(client, str(running.network.cluster_ips[f"shop/web-{port}"]), 1000 + port)
            for port in range(number)
        ]
        results = running.probe(probes, 0.9)

    assert {Verdict.ALLOWED} == {result.verdict for result in results}
