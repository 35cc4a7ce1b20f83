"""NetworkPolicy v1 read a second time, naively: what the tests hold the lab against.

Written from the Kubernetes documentation alone: the API reference of NetworkPolicy v1
(networking.k8s.io), of LabelSelector, and the page "Network Policies". It shares the
vocabulary with the lab (`nodeport_lab.model`) and no line of its semantics: one question
at a time, loops and ifs, nothing prepared, nothing kept.

Kubernetes leaves open whether policy sees a connection before or after its addresses are
rewritten, and what a dataplane takes an address for. So the evaluator is told both: the
tuple that a hook saw, and the party at the other end as the dataplane's stated
`MatchingRules` see it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from nodeport_lab.model import (
    Action,
    Direction,
    IPBlock,
    LabelSelector,
    Network,
    NetworkPolicy,
    Operator,
    Pod,
    PodPeer,
    PolicyPort,
    Protocol,
    Scenario,
)

NOT_SELECTED = (None, "not-selected")


@dataclass(frozen=True, slots=True)
class Seen:
    """The first packet of a connection, as a hook saw it."""

    source: IPv4Address
    source_port: int
    destination: IPv4Address
    destination_port: int
    protocol: Protocol


@dataclass(frozen=True, slots=True)
class Question:
    """A connection at one pod's door.

    Attributes:
        scenario: who exists.
        network: the addresses of those who exist.
        policies: the policies in force.
        direction: whether `pod` opens the connection (egress) or is asked (ingress).
        pod: the pod whose policies are evaluated.
        seen: the tuple at the place of evaluation.
    """

    scenario: Scenario
    network: Network
    policies: Sequence[NetworkPolicy]
    direction: Direction
    pod: Pod
    seen: Seen

    @property
    def peer(self) -> IPv4Address:
        """The address at the other end."""
        return self.seen.destination if self.direction is Direction.EGRESS else self.seen.source


@dataclass(frozen=True, slots=True)
class Party:
    """The other end of a connection, as a dataplane sees it.

    Attributes:
        pod: the pod that label selectors are tried on; None if it is taken for no pod.
        address: the address that ipBlocks are tried on; None if they see none.
        outside: it is somewhere outside, nobody knows where: only the block of all
            addresses contains it.
        in_wildcard: the block of all addresses contains its address.
    """

    pod: Pod | None = None
    address: IPv4Address | None = None
    outside: bool = False
    in_wildcard: bool = True


@dataclass(frozen=True, slots=True)
class MatchingRules:
    """What a dataplane says it matches on.

    Attributes:
        identities: False: addresses, literally; a pod is its address, and an ipBlock
            contains whatever its range contains. True: identities; an ipBlock selects no
            pod and no node, unless the following say so.
        blocks_select_nodes: with identities, an ipBlock selects the addresses of nodes.
        blocks_select_pods: with identities, an ipBlock selects the addresses of pods.
        wildcard_selects_nodes: where ipBlocks select nodes, so does the block of all
            addresses.
    """

    identities: bool
    blocks_select_nodes: bool = False
    blocks_select_pods: bool = False
    wildcard_selects_nodes: bool = True

    def party(self, scenario: Scenario, network: Network, address: IPv4Address) -> Party:
        """Who is at an address."""
        pod = pod_at(scenario, network, address)
        if not self.identities:
            return Party(pod=pod, address=address)
        if pod is not None:
            return self.known(pod, address)
        for of_nodes in (network.nodes, network.tunnels):
            for node_address in of_nodes.values():
                if node_address == address:
                    if not self.blocks_select_nodes:
                        return Party()
                    return Party(address=address, in_wildcard=self.wildcard_selects_nodes)
        return Party(address=address)

    def known(self, pod: Pod, address: IPv4Address) -> Party:
        """A pod that is known by its identity, under whatever address it comes."""
        return Party(pod=pod, address=address if self.blocks_select_pods else None)


@dataclass(frozen=True, slots=True)
class Judgement:
    """The action, and every (policy, rule) that could be named as its reason.

    `default-deny` is named with the policy only if that is the only one that selects the
    pod; a pod that is not selected has one reason, `NOT_SELECTED`.
    """

    action: Action
    reasons: frozenset[tuple[str | None, str]]


def pod_at(scenario: Scenario, network: Network, address: IPv4Address) -> Pod | None:
    """The pod of an address; a host-network pod has none of its own."""
    for pod in scenario.pods:
        if not pod.host_network and network.pods[pod.key] == address:
            return pod
    return None


def judge(question: Question, party: Party) -> Judgement:
    """May the pod have this connection with this party?

    Args:
        question: the connection, where it is evaluated, and the policies in force.
        party: the other end: the destination of egress, the source of ingress.
    """
    selecting = []
    allowing = []
    for policy in question.policies:
        if isolates(policy, question.pod, question.direction):
            selecting.append(policy.name)
            for path in rules_that_allow(policy, question, party):
                allowing.append((policy.name, path))  # noqa: PERF401 - loops and ifs
    if len(selecting) == 0:
        return Judgement(Action.ALLOW, frozenset({NOT_SELECTED}))
    if len(allowing) > 0:
        return Judgement(Action.ALLOW, frozenset(allowing))
    only = selecting[0] if len(selecting) == 1 else None
    return Judgement(Action.DENY, frozenset({(only, "default-deny")}))


def rules_that_allow(policy: NetworkPolicy, question: Question, party: Party) -> list[str]:
    """Field paths of the parts of a policy that allow a connection."""
    if question.direction is Direction.EGRESS:
        rules, word = policy.egress, "to"
    else:
        rules, word = policy.ingress, "from"
    paths = []
    for number, rule in enumerate(rules):
        if not ports_match(rule.ports, question):
            continue
        path = f"{question.direction.value}[{number}]"
        if len(rule.peers) == 0:
            paths.append(path)
        for position, peer in enumerate(rule.peers):
            if isinstance(peer, IPBlock):
                found = block_contains(peer, party)
            else:
                found = peer_selects(question.scenario, policy, peer, party)
            if found:
                paths.append(f"{path}.{word}[{position}]")
    return paths


def isolates(policy: NetworkPolicy, pod: Pod, direction: Direction) -> bool:
    """Does this policy isolate this pod in this direction?

    "NetworkPolicy behaviour for hostNetwork pods is undefined"; the commoner of the two
    that the documentation then describes: it is ignored for them.
    """
    if pod.host_network:
        return False
    if policy.namespace != pod.namespace:
        return False
    if direction not in policy.directions:
        return False
    return selects(policy.pod_selector, pod.labels)


def selects(selector: LabelSelector, labels: Sequence[tuple[str, str]]) -> bool:
    """Does a label selector accept these labels? All of its requirements must hold."""
    for key, value in selector.match_labels:
        if (key, value) not in labels:
            return False
    for requirement in selector.match_expressions:
        values = []
        for key, value in labels:
            if key == requirement.key:
                values.append(value)
        has_key = len(values) > 0
        if requirement.operator is Operator.EXISTS:
            holds = has_key
        elif requirement.operator is Operator.DOES_NOT_EXIST:
            holds = not has_key
        elif requirement.operator is Operator.IN:
            holds = has_key and values[0] in requirement.values
        else:
            # "NotIn" also accepts resources that lack the key.
            holds = not has_key or values[0] not in requirement.values
        if not holds:
            return False
    return True


def peer_selects(scenario: Scenario, policy: NetworkPolicy, peer: PodPeer, party: Party) -> bool:
    """Does a peer with selectors select this party?"""
    if party.pod is None or party.pod.host_network:
        return False
    if peer.namespace_selector is None:
        if party.pod.namespace != policy.namespace:
            return False
    else:
        for namespace in scenario.namespaces:
            if namespace.name == party.pod.namespace and not selects(
                peer.namespace_selector, namespace.labels
            ):
                return False
    if peer.pod_selector is None:
        return True
    return selects(peer.pod_selector, party.pod.labels)


def block_contains(block: IPBlock, party: Party) -> bool:
    """Does an ipBlock contain this party?"""
    is_wildcard = block.cidr == IPv4Network("0.0.0.0/0")
    if party.outside:
        return is_wildcard
    if party.address is None or (is_wildcard and not party.in_wildcard):
        return False
    if party.address not in block.cidr:  # never true of an IPv6 block
        return False
    for left_out in block.except_:  # noqa: SIM110 - loops and ifs
        if party.address in left_out:
            return False
    return True


def ports_match(ports: Sequence[PolicyPort], question: Question) -> bool:
    """Does a rule's list of ports cover this connection? An empty list covers all."""
    if len(ports) == 0:
        return True
    for port in ports:  # noqa: SIM110 - loops and ifs
        if port_matches(port, question):
            return True
    return False


def port_matches(port: PolicyPort, question: Question) -> bool:
    """Does one entry of `ports` cover this connection?"""
    number = question.seen.destination_port
    if port.protocol is not question.seen.protocol:
        return False
    if port.port is None:
        return True
    if isinstance(port.port, int):
        last = port.port if port.end_port is None else port.end_port
        return port.port <= number <= last
    # "a numerical or named port on a pod": on the pod that is asked.
    asked = pod_at(question.scenario, question.network, question.seen.destination)
    if asked is not None:
        for declared in asked.ports:
            if declared.name == port.port and declared.protocol is port.protocol:
                return number == declared.port
    return False
