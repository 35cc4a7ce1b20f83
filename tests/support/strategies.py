"""Hypothesis strategies for scenarios, policies and connections.

Alphabets are small on purpose: two label keys, few values, few ports. Selectors, blocks
and ports then match about as often as they do not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network, IPv6Network
from itertools import product
from typing import TypeVar

from hypothesis import strategies as st

from nodeport_lab.model import (
    ContainerPort,
    Direction,
    IPBlock,
    LabelSelector,
    Namespace,
    Network,
    NetworkPolicy,
    Node,
    Operator,
    Pod,
    PodPeer,
    PolicyPort,
    PolicyRule,
    Protocol,
    Requirement,
    Scenario,
)
from nodeport_lab.testbeds.embedded.addressing import plan_network
from support.naive import Question, Seen

T = TypeVar("T")
KEYS = ("app", "tier")
VALUES = ("a", "b")
PORT_NAMES = ("http", "admin")
PORT_NUMBERS = (80, 8080, 8081)
PORTS = (
    (80, Protocol.TCP),
    (8080, Protocol.TCP),
    (8081, Protocol.TCP),
    (8080, Protocol.UDP),
)
CLIENT_PORT = 8081  # a port clause that looks at the wrong end would find it
OUTSIDE = IPv4Address("192.0.2.1")
NAMESPACE_LABEL = "kubernetes.io/metadata.name"

labels = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES)).map(
    lambda chosen: tuple(chosen.items())
)


def requirements() -> st.SearchStrategy[Requirement]:
    """An entry of matchExpressions; In and NotIn have values, the others none."""
    key = st.sampled_from(KEYS)
    values = st.lists(st.sampled_from(VALUES), min_size=1, max_size=2, unique=True).map(tuple)
    return st.one_of(
        st.builds(Requirement, key, st.sampled_from([Operator.IN, Operator.NOT_IN]), values),
        st.builds(Requirement, key, st.sampled_from([Operator.EXISTS, Operator.DOES_NOT_EXIST])),
    )


def selectors() -> st.SearchStrategy[LabelSelector]:
    """A label selector; more often one that accepts much than one that accepts little."""
    label = st.tuples(st.sampled_from(KEYS), st.sampled_from(VALUES))
    return st.one_of(
        st.just(LabelSelector()),
        st.builds(LabelSelector, st.tuples(label)),
        st.builds(LabelSelector, st.just(()), st.tuples(requirements())),
        st.builds(LabelSelector, st.tuples(label), st.tuples(requirements())),
    )


def ip_blocks(ranges: Sequence[IPv4Network]) -> st.SearchStrategy[IPBlock]:
    """An ipBlock over one of these ranges, with exceptions that lie inside it."""

    @st.composite
    def draw_block(draw: st.DrawFn) -> IPBlock:
        cidr = draw(st.sampled_from(ranges))
        inside = [other for other in ranges if other != cidr and other.subnet_of(cidr)]
        if cidr.prefixlen < cidr.max_prefixlen:
            inside += cidr.subnets()
        if not inside:
            return IPBlock(cidr)
        exceptions = st.lists(st.sampled_from(inside), min_size=1, max_size=2).map(tuple)
        return IPBlock(cidr, draw(st.one_of(st.just(()), exceptions)))

    return rarely(st.just(IPBlock(IPv6Network("::/0"))), draw_block())


def pod_peers(namespaces: Sequence[Namespace]) -> st.SearchStrategy[PodPeer]:
    """A peer with a podSelector, a namespaceSelector, or both."""
    names = st.sampled_from([namespace.name for namespace in namespaces])
    by_name = names.map(lambda name: LabelSelector(((NAMESPACE_LABEL, name),)))
    of_namespaces = st.one_of(by_name, selectors())
    return st.one_of(
        st.builds(PodPeer, selectors()),
        st.builds(PodPeer, st.none(), of_namespaces),
        st.builds(PodPeer, selectors(), of_namespaces),
    )


def policy_ports(
    numbers: Sequence[int], names: Sequence[str] = PORT_NAMES
) -> st.SearchStrategy[PolicyPort]:
    """A port clause of any form and protocol, TCP more often than the others."""
    protocol = st.sampled_from([Protocol.TCP, Protocol.TCP, Protocol.UDP, Protocol.SCTP])
    ranges = st.lists(st.sampled_from(numbers), min_size=2, max_size=2).map(sorted)
    return st.one_of(
        st.builds(PolicyPort, protocol),
        st.builds(PolicyPort, protocol, st.sampled_from(numbers)),
        st.builds(PolicyPort, protocol, st.sampled_from(names)),
        st.builds(
            lambda protocol, ends: PolicyPort(protocol, *ends),
            st.just(Protocol.TCP),
            ranges,
        ),
    )


def policies(
    scenario: Scenario,
    ranges: Sequence[IPv4Network],
    numbers: Sequence[int] = PORT_NUMBERS,
    names: Sequence[str] = PORT_NAMES,
) -> st.SearchStrategy[tuple[NetworkPolicy, ...]]:
    """A set of policies; now and then one has rules for a direction that it lacks."""
    peers = st.one_of(pod_peers(scenario.namespaces), ip_blocks(ranges))
    ports = st.lists(policy_ports(numbers, names), min_size=1, max_size=2).map(tuple)
    rule = st.builds(
        PolicyRule,
        rarely(st.just(()), st.lists(peers, min_size=1, max_size=3).map(tuple)),
        st.one_of(st.just(()), ports),
    )
    rules = rarely(st.just(()), st.lists(rule, min_size=1, max_size=3).map(tuple))
    one = st.builds(
        NetworkPolicy,
        namespace=st.sampled_from([namespace.name for namespace in scenario.namespaces]),
        name=st.just(""),
        pod_selector=st.one_of(st.just(LabelSelector()), selectors()),
        directions=rarely(
            st.sampled_from(Direction).map(lambda only: frozenset({only})),
            st.just(frozenset(Direction)),
        ),
        ingress=rules,
        egress=rules,
    )
    return st.lists(one, min_size=1, max_size=3).map(
        lambda some: tuple(
            replace(policy, name=f"policy-{number}") for number, policy in enumerate(some)
        )
    )


def rarely(seldom: st.SearchStrategy[T], usual: st.SearchStrategy[T]) -> st.SearchStrategy[T]:
    """The first once in five times."""
    return st.sampled_from([usual, usual, usual, usual, seldom]).flatmap(lambda chosen: chosen)


@dataclass(frozen=True, slots=True)
class World:
    """A scenario with its addresses and the policies in force."""

    scenario: Scenario
    network: Network
    policies: tuple[NetworkPolicy, ...]

    def questions(self) -> Iterator[Question]:
        """Every pod, both directions, with everybody and a few ports and protocols."""
        addresses = sorted(
            {
                *self.network.pods.values(),
                *self.network.nodes.values(),
                *self.network.tunnels.values(),
                self.network.service_cidr[10],
                OUTSIDE,
            }
        )
        for pod, direction, other, (port, protocol) in product(
            self.scenario.pods, Direction, addresses, PORTS
        ):
            own = self.network.pods[pod.key]
            source, destination = (own, other) if direction is Direction.EGRESS else (other, own)
            seen = Seen(source, CLIENT_PORT, destination, port, protocol)
            yield Question(self.scenario, self.network, self.policies, direction, pod, seen)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """A random scenario with random policies."""
    scenario = draw(_scenarios())
    network = plan_network(scenario, tunnel=True)
    return World(scenario, network, draw(policies(scenario, cluster_ranges(network))))


def cluster_ranges(network: Network) -> list[IPv4Network]:
    """Ranges that a policy in this cluster may well name, wide ones and single addresses."""
    wide = [
        IPv4Network("0.0.0.0/0"),
        IPv4Network("128.0.0.0/1"),
        network.node_cidr,
        network.pod_cidr,
        network.service_cidr,
        *network.node_pod_cidrs.values(),
    ]
    one_by_one = {*network.pods.values(), *network.nodes.values(), *network.tunnels.values()}
    # Wide ones twice: they are fewer, and they are where exceptions matter.
    return [*wide, *wide, *(IPv4Network(address) for address in sorted(one_by_one))]


def _container_ports() -> st.SearchStrategy[tuple[ContainerPort, ...]]:
    return st.lists(
        st.builds(
            ContainerPort,
            st.sampled_from(PORT_NUMBERS),
            st.sampled_from([Protocol.TCP, Protocol.TCP, Protocol.UDP]),
            st.one_of(st.none(), st.sampled_from(PORT_NAMES)),
        ),
        max_size=2,
        unique_by=(
            lambda port: (port.port, port.protocol),
            lambda port: port.name or object(),  # a name stands once in a pod
        ),
    ).map(tuple)


@st.composite
def _scenarios(draw: st.DrawFn) -> Scenario:
    nodes = ("n1", "n2")
    namespaces = tuple(
        Namespace(name, ((NAMESPACE_LABEL, name), *draw(labels))) for name in ("red", "blue")
    )
    pods = tuple(
        Pod(
            namespace=draw(st.sampled_from(["red", "blue"])),
            name=f"pod-{number}",
            node=draw(st.sampled_from(nodes)),
            labels=draw(labels),
            ports=draw(_container_ports()),
            host_network=draw(st.sampled_from([False, False, False, False, True])),
        )
        for number in range(draw(st.integers(min_value=2, max_value=4)))
    )
    return Scenario("test", tuple(Node(name) for name in nodes), namespaces, pods, (), ())
