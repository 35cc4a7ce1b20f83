"""Random policies on real packets, against the naive evaluator.

Every decision that the kernel recorded is judged a second time, by the evaluator that
knows nothing but the Kubernetes documentation (`support.naive`): from the tuple that the
hook saw, and from what the dataplane says it matches on. That is:

- Calico, whichever engine: addresses, literally, at both ends.
- Cilium, on the way out: identities, looked up by the destination's address. An ipBlock
  selects neither pods nor nodes, unless policyCIDRMatchMode says so.
- Cilium, on the way in: the identity of the caller, which is not part of the tuple. It
  stays with a packet inside a node, and in a tunnel between nodes. Elsewhere the source
  address stands for the caller; an address of the server's own node under which others
  called is `world`, outside, without an address of its own, and stays so in a tunnel. A
  process of the pod's own node is not policed.

What the kernel recorded must also be complete, and the verdict must follow from it.
"""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from ipaddress import IPv4Address, IPv4Network

import hypothesis
import pytest
from support.naive import MatchingRules, Party, Question, Seen, judge, pod_at
from support.strategies import NAMESPACE_LABEL, cluster_ranges, policies

from nodeport_lab.cells import as_client
from nodeport_lab.dataplanes import DATAPLANES
from nodeport_lab.dataplanes.nftables import transactions
from nodeport_lab.model import (
    Action,
    Client,
    ClientKind,
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
from nodeport_lab.testbeds.embedded.addressing import EXTERNAL, GATEWAY, ROUTED, plan_network
from nodeport_lab.testbeds.embedded.netfilter import find_nft
from nodeport_lab.testbeds.embedded.preflight import isolation
from nodeport_lab.testbeds.interface import Probe, ProbeResult

DEADLINE = 0.2
EXAMPLES = 12
EVERYWHERE = IPv4Network("0.0.0.0/0")

HTTP = ContainerPort(8080, name="http")
# Some numbers have a name on one pod and none, or only for UDP, on another. The callers
# have the same labels in different namespaces.
ONE = Pod("red", "one", "worker", (("app", "a"),), (HTTP, ContainerPort(9090, name="admin")))
TWO = Pod(
    "red",
    "two",
    "worker2",
    (("app", "a"), ("tier", "a")),
    (ContainerPort(8081, name="http"), ContainerPort(8080)),
)
RED_CALLER = Pod("red", "caller", "worker", (("tier", "b"),))
THREE = Pod(
    "blue",
    "three",
    "worker2",
    (("app", "b"),),
    (HTTP, ContainerPort(9090), ContainerPort(9090, Protocol.UDP, "admin")),
)
BLUE_CALLER = Pod("blue", "caller", "worker", (("tier", "b"),))
HOST = Pod(
    "blue",
    "host",
    "worker2",
    (("app", "a"),),
    (ContainerPort(7070, name="http"),),
    host_network=True,
)
WEB, LOCAL, DATAGRAMS, NODE = 30080, 30081, 30082, 30083
SERVICES = (
    Service("red", "web", (("app", "a"),), (ServicePort(80, "http", node_port=WEB),), "NodePort"),
    Service("red", "outside", (("app", "a"),), (ServicePort(81, "http"),), "LoadBalancer"),
    Service(
        "blue",
        "local",
        (("app", "b"),),
        (ServicePort(80, "http", node_port=LOCAL),),
        "NodePort",
        external_traffic_policy="Local",
    ),
    Service(
        "blue",
        "datagrams",
        (("app", "b"),),
        (ServicePort(53, "admin", Protocol.UDP, node_port=DATAGRAMS),),
        "NodePort",
    ),
    Service("blue", "host", (("app", "a"),), (ServicePort(80, "http", node_port=NODE),)),
)
LAST_WORKER = "worker2"  # it answers for addresses that are no node's
SCENARIO = Scenario(
    cluster="test",
    nodes=(Node("control-plane", control_plane=True), Node("worker"), Node(LAST_WORKER)),
    namespaces=(
        Namespace("red", ((NAMESPACE_LABEL, "red"), ("app", "a"))),
        Namespace("blue", ((NAMESPACE_LABEL, "blue"), ("tier", "b"))),
    ),
    pods=(ONE, TWO, RED_CALLER, THREE, BLUE_CALLER, HOST),
    services=SERVICES,
    policies=(),
)
PORT_NUMBERS = (53, 80, 7070, 8080, 8081, 9090, WEB, LOCAL)
CLIENTS = (
    *(as_client(pod) for pod in SCENARIO.pods),
    Client("host:worker", ClientKind.HOST, "worker"),
    Client(EXTERNAL[0], ClientKind.EXTERNAL),
    Client(ROUTED[0], ClientKind.EXTERNAL),
)


class Translation(Enum):
    """Where a pod's connections to Services become connections to pods.

    Cluster IPs and addresses outside become so on the client's node, whatever the
    dataplane; for node ports it differs. Processes of nodes are treated as pods are,
    except that OWN_NODE_FIRST is for pods alone.
    """

    DIALLED_NODE = auto()
    """On the node whose port was dialled, by kube-proxy."""
    OWN_NODE_FIRST = auto()
    """At the client for its own node's ports, on the dialled node for others'."""
    CLIENT = auto()
    """At the client, for every node's ports."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A dataplane with options, and what it says of itself.

    Attributes:
        dataplane: its name.
        rules: what it matches on.
        translation: where node ports are translated.
        options: as on the command line.
        in_pod: the Service addresses whose translation keeps a pod that reaches itself
            from sending any packet: `none`, `cluster-ip`, or `all` that CLIENT or
            OWN_NODE_FIRST translate.
        tunnel: pods' packets travel between nodes in a tunnel that carries identities.
        bypassed: what kube-proxy marked for masquerading is forwarded before policy.
    """

    dataplane: str
    rules: MatchingRules
    translation: Translation
    options: Mapping[str, str] = field(default_factory=dict)
    in_pod: str = "none"
    tunnel: bool = False
    bypassed: bool = False


ADDRESSES = MatchingRules(identities=False)
IDENTITIES = MatchingRules(identities=True)
AND_NODES = MatchingRules(identities=True, blocks_select_nodes=True)
AND_NODES_NEWER = MatchingRules(
    identities=True, blocks_select_nodes=True, wildcard_selects_nodes=False
)
AND_PODS = MatchingRules(identities=True, blocks_select_pods=True)
NODES = {"policyCIDRMatchMode": "nodes"}
PODS = {"policyCIDRMatchMode": "pods"}
NEWER = {"ciliumVersion": "1.20"}
NATIVE = {"routingMode": "native"}
DSR = {"loadBalancerMode": "dsr"}
DIALLED_NODE, OWN_NODE_FIRST, CLIENT = Translation


def calico(name: str, **options: str) -> Variant:
    """Calico beside kube-proxy."""
    bypassed = options.get("chainInsertMode") == "Append"
    return Variant(name, ADDRESSES, DIALLED_NODE, options, bypassed=bypassed)


def cilium(
    name: str, rules: MatchingRules, translation: Translation, *options: Mapping[str, str]
) -> Variant:
    """Cilium, with or without kube-proxy."""
    chosen = {name: value for some in options for name, value in some.items()}
    in_pod = "cluster-ip" if translation is DIALLED_NODE else "all"
    return Variant(name, rules, translation, chosen, in_pod, tunnel=NATIVE not in options)


VARIANTS = {
    "calico-iptables": calico("calico-iptables"),
    "calico-iptables, VXLAN": calico("calico-iptables", encapsulation="VXLAN"),
    "calico-iptables, Append": calico("calico-iptables", chainInsertMode="Append"),
    "calico-nftables": calico("calico-nftables"),
    "calico-ebpf": Variant("calico-ebpf", ADDRESSES, CLIENT, in_pod="all"),
    "calico-ebpf, at the veth": Variant(
        "calico-ebpf", ADDRESSES, CLIENT, {"bpfConnectTimeLoadBalancing": "Disabled"}
    ),
    "cilium": cilium("cilium", IDENTITIES, DIALLED_NODE),
    "cilium, nodes": cilium("cilium", AND_NODES, DIALLED_NODE, NODES),
    "cilium, nodes, 1.20": cilium("cilium", AND_NODES_NEWER, DIALLED_NODE, NODES, NEWER),
    "cilium, pods": cilium("cilium", AND_PODS, DIALLED_NODE, PODS, NEWER),
    "cilium, nodes, native": cilium("cilium", AND_NODES, DIALLED_NODE, NODES, NATIVE),
    "cilium-kpr": cilium("cilium-kpr", IDENTITIES, CLIENT),
    "cilium-kpr, pods, native": cilium("cilium-kpr", AND_PODS, CLIENT, PODS, NEWER, NATIVE),
    "cilium-kpr, nodes, dsr": cilium("cilium-kpr", AND_NODES, CLIENT, NODES, DSR),
    "hostns": cilium("cilium-kpr-hostns", IDENTITIES, OWN_NODE_FIRST),
    "hostns, nodes, native": cilium("cilium-kpr-hostns", AND_NODES, OWN_NODE_FIRST, NODES, NATIVE),
    "hostns, nodes, dsr": cilium("cilium-kpr-hostns", AND_NODES, OWN_NODE_FIRST, NODES, DSR),
    "hostns, 1.20": cilium("cilium-kpr-hostns", IDENTITIES, CLIENT, NEWER),
}


@dataclass(frozen=True, slots=True)
class Lab:
    """A running testbed with its variant and its probes."""

    variant: Variant
    testbed: EmbeddedTestbed
    probes: Sequence[Probe]

    def dialled_node(self, probe: Probe) -> str | None:
        """The node whose own address is dialled; None where it is another address."""
        for name, address in self.testbed.network.nodes.items():
            if str(address) == probe.address:
                return name
        return None

    def dials_service(self, probe: Probe) -> bool:
        """Whether the address dialled is a Service's, not a pod's or the gateway's."""
        network = self.testbed.network
        shared = {*network.cluster_ips.values(), *network.load_balancers.values()}
        return probe.port >= WEB or IPv4Address(probe.address) in shared

    def asks(self, probe: Probe) -> bool:
        """Whether the outcome of a probe says anything.

        What goes past policy by a mark is the first datagram alone: a connection is
        translated, and so marked, once. Whether a second one is sent is a matter of time.
        """
        over_udp = probe.protocol is Protocol.UDP
        return not (self.variant.bypassed and over_udp and self.dials_service(probe))

    def hop(self, probe: Probe) -> str:
        """The node on which the address dialled is the server's at last.

        For a client in the cluster it is its own node, unless another node has to
        translate.
        """
        dialled = self.dialled_node(probe) if self.dials_service(probe) else None
        client = probe.client
        if client.node is None:
            return dialled or LAST_WORKER
        at_client = self.variant.translation is CLIENT or (
            self.variant.translation is OWN_NODE_FIRST and client.kind is not ClientKind.POD
        )
        return client.node if dialled is None or at_client else dialled

    def masqueraded_by_kube_proxy(self, probe: Probe, server: Pod | None) -> bool:
        """Whether kube-proxy marks the connection, on the node that translates it."""
        if self.variant.translation is not DIALLED_NODE or not self.dials_service(probe):
            return False
        from_outside = IPv4Address(probe.address) not in self.testbed.network.cluster_ips.values()
        reaches_itself = server is not None and server == probe.client.pod
        return reaches_itself or (from_outside and probe.port != LOCAL)


@pytest.fixture(scope="module", params=VARIANTS)
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A running testbed, one per variant."""
    variant = VARIANTS[request.param]
    dataplane = DATAPLANES[variant.dataplane]
    with EmbeddedTestbed(SCENARIO, dataplane, variant.options) as testbed:
        running = Lab(variant, testbed, ())
        yield replace(running, probes=[probe for probe in _probes(testbed) if running.asks(probe)])


def test_every_probe_has_a_path(lab: Lab) -> None:
    """Without policy every connection of these tests is answered, or refused by nobody's port."""
    lab.testbed.apply(())

    results = lab.testbed.probe(lab.probes, DEADLINE)

    assert [(probe, _without_denial(probe)) for probe in lab.probes] == [
        (probe, result.verdict) for probe, result in zip(lab.probes, results, strict=True)
    ]


def test_the_kernel_decides_as_the_naive_evaluator_does(
    lab: Lab, record_property: Callable[[str, object], None]
) -> None:
    """Each recorded decision is right, none is missing, and the verdict follows from them."""
    compared: Counter[tuple[Protocol, Direction, Action]] = Counter()
    cases = 0

    network = lab.testbed.network
    cluster = (IPBlock(network.node_cidr), IPBlock(network.pod_cidr))
    ranges = [
        *cluster_ranges(network),
        *(IPv4Network(address) for _, address, _ in (EXTERNAL, ROUTED)),
        *(IPv4Network(address) for address in network.load_balancers.values()),
    ]

    @hypothesis.settings(max_examples=EXAMPLES, derandomize=True, deadline=None)
    @hypothesis.given(policies(SCENARIO, ranges, PORT_NUMBERS))
    @hypothesis.example(_allowing(IPBlock(EVERYWHERE)))
    @hypothesis.example(_allowing(IPBlock(EVERYWHERE, (network.node_cidr, network.pod_cidr))))
    @hypothesis.example(_allowing(*cluster))
    def compare(in_force: tuple[NetworkPolicy, ...]) -> None:
        nonlocal cases
        lab.testbed.apply(in_force)
        results = lab.testbed.probe(lab.probes, DEADLINE)
        cases += len(results)
        for probe, result in zip(lab.probes, results, strict=True):
            for decision in result.decisions:
                _check_decision(lab, in_force, probe, decision)
                compared[probe.protocol, decision.direction, decision.action] += 1
            _check_completeness(lab, probe, result)
            _check_verdict(probe, result)

    compare()

    record_property("cases", cases)  # sets of policies x flows
    record_property("decisions compared", sum(compared.values()))
    for (protocol, direction, action), count in sorted(compared.items()):
        print(f"{count} decisions compared: {protocol}, {direction}, {action}")  # noqa: T201 - for pytest -s
    assert {
        (protocol, direction, action)
        for protocol in (Protocol.TCP, Protocol.UDP)
        for direction in Direction
        for action in Action
    } == set(compared)


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
        assert probe.client.pod is not None
        pod, party = probe.client.pod, lab.variant.rules.party(SCENARIO, network, seen.destination)
        assert network.pods[pod.key] == seen.source
    else:
        asked = pod_at(SCENARIO, network, seen.destination)
        assert asked is not None
        pod, party = asked, _caller(lab, probe, asked, seen)
    judged = judge(Question(SCENARIO, network, in_force, decision.direction, pod, seen), party)
    assert pod.node == decision.node, str(decision)
    assert judged.action == decision.action, f"{decision}\n{judged}\n{probe}"
    assert (decision.policy, decision.rule) in judged.reasons, f"{decision}\n{judged}\n{probe}"


def _caller(lab: Lab, probe: Probe, server: Pod, seen: Seen) -> Party:
    """Who the server's policy takes the client for; see the top of this file."""
    rules, network = lab.variant.rules, lab.testbed.network
    if not rules.identities:
        return rules.party(SCENARIO, network, seen.source)
    hop, client = lab.hop(probe), probe.client
    carried = lab.variant.tunnel or hop == server.node
    if carried and hop == client.node and client.kind is ClientKind.POD:
        assert client.pod is not None
        return rules.known(client.pod, seen.source)
    looked_up_on = hop if carried else server.node
    if looked_up_on != client.node and seen.source in _addresses_of(lab, looked_up_on):
        return Party(outside=True)
    return rules.party(SCENARIO, network, seen.source)


def _addresses_of(lab: Lab, node: str) -> set[IPv4Address]:
    network = lab.testbed.network
    return {found[node] for found in (network.nodes, network.tunnels) if node in found}


def _check_completeness(lab: Lab, probe: Probe, result: ProbeResult) -> None:
    """One decision at the client's door and, where that allowed it, one at the server's."""
    server = _pod(result.backend)
    leaving = [one for one in result.decisions if one.direction is Direction.EGRESS]
    entering = [one for one in result.decisions if one.direction is Direction.INGRESS]

    assert int(_policed_leaving(lab, probe, server)) == len(leaving), f"{probe}\n{result}"
    if any(one.action is Action.DENY for one in leaving):
        assert [] == entering, f"{probe}\n{result}"
    else:
        assert int(_policed_entering(lab, probe, server)) == len(entering), f"{probe}\n{result}"


def _policed_leaving(lab: Lab, probe: Probe, server: Pod | None) -> bool:
    client = probe.client
    if client.kind is not ClientKind.POD or _stays_inside(lab, probe, server):
        return False
    # What is delivered to the node itself is policed in another chain than what is forwarded.
    delivered = server is None or (server.host_network and server.node == client.node)
    return delivered or not _bypasses(lab, probe, server, client.node)


def _policed_entering(lab: Lab, probe: Probe, server: Pod | None) -> bool:
    if server is None or server.host_network or _stays_inside(lab, probe, server):
        return False
    is_process = probe.client.kind in (ClientKind.HOST, ClientKind.HOST_POD)
    if is_process and lab.hop(probe) == probe.client.node == server.node:
        return False
    return not _bypasses(lab, probe, server, server.node)


def _stays_inside(lab: Lab, probe: Probe, server: Pod | None) -> bool:
    """Whether a pod reaches itself without sending a packet."""
    if server is None or server != probe.client.pod or server.host_network:
        return False
    if lab.variant.in_pod == "all":
        return lab.hop(probe) == server.node
    is_cluster_ip = IPv4Address(probe.address) in lab.testbed.network.cluster_ips.values()
    return lab.variant.in_pod == "cluster-ip" and is_cluster_ip


def _bypasses(lab: Lab, probe: Probe, server: Pod | None, node: str | None) -> bool:
    """Whether kube-proxy's mark takes the connection past policy on a node."""
    return (
        lab.variant.bypassed
        and lab.hop(probe) == node
        and lab.masqueraded_by_kube_proxy(probe, server)
    )


def _check_verdict(probe: Probe, result: ProbeResult) -> None:
    denied = any(decision.action is Action.DENY for decision in result.decisions)
    expected = Verdict.TIMEOUT if denied else _without_denial(probe)
    assert expected == result.verdict, f"{probe}\n{result}"


def _probes(testbed: EmbeddedTestbed) -> Iterator[Probe]:
    """From everybody: to pods, to Services by every address, and out of the cluster."""
    network = testbed.network
    nodes = [str(address) for address in network.nodes.values()]
    for client in CLIENTS:
        yield from (Probe(client, address, WEB) for address in nodes)
        yield from (Probe(client, address, DATAGRAMS, Protocol.UDP) for address in nodes)
        yield from (Probe(client, str(vip), 81) for vip in network.load_balancers.values())
        # Elsewhere no endpoint is local: kube-proxy drops, whatever the policy.
        for node in sorted({THREE.node, client.node or THREE.node}):
            address = str(network.nodes[node])
            yield Probe(client, address, LOCAL)
            yield Probe(client, address, NODE)
        if client.node is None:
            continue
        for server in SCENARIO.pods:
            if server != client.pod:
                for port in server.ports:
                    address = str(network.pods[server.key])
                    yield Probe(client, address, port.port, port.protocol)
        for service in SERVICES:
            for served in service.ports:
                address = str(network.cluster_ips[service.key])
                yield Probe(client, address, served.port, served.protocol)
        yield Probe(client, str(GATEWAY), 8080)
        yield Probe(client, str(GATEWAY), 9090, Protocol.UDP)


def _without_denial(probe: Probe) -> Verdict:
    """Nobody listens at the gateway, which is there to be a place outside the cluster."""
    return Verdict.REFUSED if probe.address == str(GATEWAY) else Verdict.ALLOWED


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
    network = plan_network(scenario, tunnel=dataplane.tunnel(options) is not None)
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
