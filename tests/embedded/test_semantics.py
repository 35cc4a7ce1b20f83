"""Random policies on real packets, against the naive evaluator.

Every decision that the kernel recorded is judged a second time, by the evaluator that
knows nothing but the Kubernetes documentation (`support.naive`): from the tuple that the
hook saw, and from what the dataplane says it matches on. That is:

- calico-iptables: addresses, literally, at both ends.
- cilium, on the way out: identities, looked up by the destination's address. An ipBlock
  selects no pod, and nodes only with policyCIDRMatchMode=nodes.
- cilium, on the way in: the identity of the caller, which is not part of the tuple. A
  pod that called a pod, a cluster IP or its own node is itself, whatever its address has
  become. Who called another node and was masqueraded there is `world`, outside, without
  an address. Who was not masqueraded there (externalTrafficPolicy: Local), and a process
  of another node, is a remote node. A process of the pod's own node is not policed.

What the kernel recorded must also be complete, and the verdict must follow from it.
"""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

import hypothesis
import pytest
from support.naive import MatchingRules, Party, Question, Seen, judge, pod_at
from support.strategies import NAMESPACE_LABEL, cluster_ranges, policies

from nodeport_lab.dataplanes import DATAPLANES
from nodeport_lab.dataplanes.nftables import transactions
from nodeport_lab.model import (
    Action,
    ContainerPort,
    Decision,
    Direction,
    IPBlock,
    LabelSelector,
    Namespace,
    NetworkPolicy,
    Node,
    Pod,
    PolicyRule,
    Protocol,
    Scenario,
    Service,
    ServicePort,
    Verdict,
)
from nodeport_lab.testbeds.embedded import EmbeddedTestbed
from nodeport_lab.testbeds.embedded.addressing import GATEWAY, plan_network
from nodeport_lab.testbeds.embedded.netfilter import find_nft
from nodeport_lab.testbeds.embedded.preflight import isolation
from nodeport_lab.testbeds.interface import Probe, ProbeResult

DEADLINE = 0.15
EXAMPLES = 40
EVERYWHERE = IPv4Network("0.0.0.0/0")

HTTP = ContainerPort(8080, name="http")
# Some numbers have a name on one pod and none, or only for UDP, on another. The callers
# have the same labels in different namespaces.
PODS = (
    Pod("red", "one", "worker", (("app", "a"),), (HTTP, ContainerPort(9090, name="admin"))),
    Pod(
        "red",
        "two",
        "worker2",
        (("app", "a"), ("tier", "a")),
        (ContainerPort(8081, name="http"), ContainerPort(8080)),
    ),
    Pod("red", "caller", "worker", (("tier", "b"),)),
    Pod(
        "blue",
        "three",
        "worker2",
        (("app", "b"),),
        (HTTP, ContainerPort(9090), ContainerPort(9090, Protocol.UDP, "admin")),
    ),
    Pod("blue", "caller", "worker", (("tier", "b"),)),
    Pod(
        "blue",
        "host",
        "worker2",
        (("app", "a"),),
        (ContainerPort(7070, name="http"),),
        host_network=True,
    ),
)
SERVICES = (
    Service("red", "web", (("app", "a"),), (ServicePort(80, "http", node_port=30080),), "NodePort"),
    Service(
        "blue",
        "local",
        (("app", "b"),),
        (ServicePort(80, "http", node_port=30081),),
        "NodePort",
        external_traffic_policy="Local",
    ),
    Service("blue", "host", (("app", "a"),), (ServicePort(80, "http"),)),
)
SCENARIO = Scenario(
    cluster="test",
    nodes=(Node("control-plane", control_plane=True), Node("worker"), Node("worker2")),
    namespaces=(
        Namespace("red", ((NAMESPACE_LABEL, "red"), ("app", "a"))),
        Namespace("blue", ((NAMESPACE_LABEL, "blue"), ("tier", "b"))),
    ),
    pods=PODS,
    services=SERVICES,
    policies=(),
)
PORT_NUMBERS = (80, 7070, 8080, 8081, 9090, 30080, 30081)


@dataclass(frozen=True, slots=True)
class Variant:
    """A dataplane with options, and what it says it matches on."""

    dataplane: str
    options: dict[str, str]
    rules: MatchingRules


VARIANTS = {
    "calico-iptables": Variant("calico-iptables", {}, MatchingRules(identities=False)),
    "cilium": Variant("cilium", {}, MatchingRules(identities=True)),
    "cilium-nodes": Variant(
        "cilium",
        {"policyCIDRMatchMode": "nodes"},
        MatchingRules(identities=True, blocks_select_nodes=True),
    ),
}


@dataclass(frozen=True, slots=True)
class Lab:
    """A running testbed with its variant and its probes."""

    variant: Variant
    testbed: EmbeddedTestbed
    probes: Sequence[Probe]


@pytest.fixture(scope="module", params=VARIANTS)
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A running testbed, one per variant."""
    variant = VARIANTS[request.param]
    dataplane = DATAPLANES[variant.dataplane]
    with EmbeddedTestbed(SCENARIO, dataplane, variant.options) as testbed:
        yield Lab(variant, testbed, list(_probes(testbed)))


def test_every_probe_has_a_path(lab: Lab) -> None:
    """Without policy every connection of these tests is answered, or refused by nobody's port."""
    lab.testbed.apply(())

    results = lab.testbed.probe(lab.probes, DEADLINE)

    assert [_without_denial(probe) for probe in lab.probes] == [
        result.verdict for result in results
    ]


def test_the_kernel_decides_as_the_naive_evaluator_does(
    lab: Lab, record_property: Callable[[str, object], None]
) -> None:
    """Each recorded decision is right, none is missing, and the verdict follows from them."""
    compared: Counter[tuple[Direction, Action]] = Counter()

    network = lab.testbed.network
    cluster = (IPBlock(network.node_cidr), IPBlock(network.pod_cidr))

    @hypothesis.settings(max_examples=EXAMPLES, derandomize=True, deadline=None)
    @hypothesis.given(policies(SCENARIO, cluster_ranges(network), PORT_NUMBERS))
    @hypothesis.example(_allowing(IPBlock(EVERYWHERE)))
    @hypothesis.example(_allowing(IPBlock(EVERYWHERE, (network.node_cidr, network.pod_cidr))))
    @hypothesis.example(_allowing(*cluster))
    def compare(in_force: tuple[NetworkPolicy, ...]) -> None:
        lab.testbed.apply(in_force)
        results = lab.testbed.probe(lab.probes, DEADLINE)
        for probe, result in zip(lab.probes, results, strict=True):
            for decision in result.decisions:
                _check_decision(lab, in_force, probe, decision)
                compared[decision.direction, decision.action] += 1
            _check_completeness(lab, probe, result)
            _check_verdict(probe, result)

    compare()

    record_property("decisions compared", sum(compared.values()))
    for (direction, action), count in sorted(compared.items()):
        print(f"{count} decisions compared: {direction}, {action}")  # noqa: T201 - for pytest -s
    assert {(direction, action) for direction in Direction for action in Action} == set(compared)


def _allowing(*blocks: IPBlock) -> tuple[NetworkPolicy, ...]:
    """These blocks and no more, from and to every pod: who is a node, who is outside?"""
    rules = (PolicyRule(blocks),)
    return tuple(
        NetworkPolicy(namespace.name, "blocks", LabelSelector(), frozenset(Direction), rules, rules)
        for namespace in SCENARIO.namespaces
    )


def _check_decision(
    lab: Lab, in_force: tuple[NetworkPolicy, ...], probe: Probe, decision: Decision
) -> None:
    network = lab.testbed.network
    seen = _seen(decision, probe.protocol)
    if decision.direction is Direction.EGRESS:
        pod, party = probe.client, lab.variant.rules.party(SCENARIO, network, seen.destination)
        assert network.pods[pod.key] == seen.source
    else:
        asked = pod_at(SCENARIO, network, seen.destination)
        assert asked is not None
        pod, party = asked, _caller(lab, probe, seen)
    judged = judge(Question(SCENARIO, network, in_force, decision.direction, pod, seen), party)
    assert pod.node == decision.node, decision
    assert judged.action == decision.action, (decision, judged, probe)
    assert (decision.policy, decision.rule) in judged.reasons, (decision, judged, probe)


def _caller(lab: Lab, probe: Probe, seen: Seen) -> Party:
    """Who the server's policy takes the client for; see the top of this file."""
    rules, network = lab.variant.rules, lab.testbed.network
    if not rules.identities:
        return rules.party(SCENARIO, network, seen.source)
    dialled = _dialled_node(lab, probe)
    if dialled in (None, probe.client.node):
        if not probe.client.host_network:
            return Party(pod=probe.client)
    elif seen.source in (network.nodes[dialled], network.tunnels[dialled]):
        return Party(outside=True)
    return rules.party(SCENARIO, network, seen.source)


def _check_completeness(lab: Lab, probe: Probe, result: ProbeResult) -> None:
    """One decision at the client's door and, where that allowed it, one at the server's."""
    client, server = probe.client, _pod(result.backend)
    leaving = [one for one in result.decisions if one.direction is Direction.EGRESS]
    entering = [one for one in result.decisions if one.direction is Direction.INGRESS]
    never_left = server == client and lab.variant.rules.identities and not result.decisions
    if client.host_network or never_left:
        assert [] == leaving, (probe, result)
    else:
        assert 1 == len(leaving), (probe, result)
    if any(one.action is Action.DENY for one in leaving):
        assert [] == entering, (probe, result)
        return
    from_own_node = (
        client.host_network
        and server is not None
        and server.node == client.node
        and _dialled_node(lab, probe) in (None, client.node)
    )
    policed = server is not None and not server.host_network
    expected = 1 if policed and not from_own_node and not never_left else 0
    assert expected == len(entering), (probe, result)


def _check_verdict(probe: Probe, result: ProbeResult) -> None:
    denied = any(decision.action is Action.DENY for decision in result.decisions)
    expected = Verdict.TIMEOUT if denied else _without_denial(probe)
    assert expected == result.verdict, (probe, result)


def _probes(testbed: EmbeddedTestbed) -> Iterator[Probe]:
    """From every pod: to every other pod's ports, every Service, and out of the cluster."""
    network = testbed.network
    for client in SCENARIO.pods:
        for server in SCENARIO.pods:
            if server != client:
                for declared in server.ports:
                    if declared.protocol is Protocol.TCP:
                        yield Probe(client, str(network.pods[server.key]), declared.port)
        for address in network.cluster_ips.values():
            yield Probe(client, str(address), 80)
        for address in network.nodes.values():
            yield Probe(client, str(address), 30080)
        # Elsewhere no endpoint is local: kube-proxy drops, whatever the policy.
        for node in sorted({"worker2", client.node}):
            yield Probe(client, str(network.nodes[node]), 30081)
        yield Probe(client, str(GATEWAY), 8080)


def _without_denial(probe: Probe) -> Verdict:
    """Nobody listens at the gateway, which is there to be a place outside the cluster."""
    return Verdict.REFUSED if probe.address == str(GATEWAY) else Verdict.ALLOWED


def _dialled_node(lab: Lab, probe: Probe) -> str | None:
    for name, address in lab.testbed.network.nodes.items():
        if str(address) == probe.address:
            return name
    return None


def _pod(key: str | None) -> Pod | None:
    return next((pod for pod in SCENARIO.pods if pod.key == key), None)


def _seen(decision: Decision, protocol: Protocol) -> Seen:
    source, _, source_port = decision.seen_source.partition(":")
    destination, _, destination_port = decision.seen_destination.partition(":")
    return Seen(
        IPv4Address(source),
        int(source_port),
        IPv4Address(destination),
        int(destination_port),
        protocol,
    )


def test_every_dataplane_is_held_against_the_evaluator() -> None:
    """A new dataplane says in VARIANTS what it matches on."""
    assert set(DATAPLANES) == {variant.dataplane for variant in VARIANTS.values()}


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_nft_accepts_the_rules_of_the_report(scenario: Scenario, variant: Variant) -> None:
    """What the golden files hold is a ruleset to nft, in every namespace."""
    dataplane = DATAPLANES[variant.dataplane]
    options = dataplane.complete(variant.options)
    network = plan_network(scenario, tunnel=dataplane.tunnel)
    both = [policy for policy in scenario.policies if policy.name == "both"]
    tables = dict(dataplane.translate(scenario, network, options))
    for namespace, table in dataplane.police(scenario, network, both, options).tables.items():
        tables[namespace] = [*tables[namespace], table]

    for namespace, some in tables.items():
        text = "".join(text for table in some for text in transactions(table))
        checked = subprocess.run(
            [*isolation(), str(find_nft()), "-c", "-f", "-"],
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (0, "") == (checked.returncode, checked.stderr), namespace
