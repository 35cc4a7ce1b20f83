"""NetworkPolicies as nftables chains, whatever the dataplane matches on.

Laid out as Felix lays them out (felix/rules/policy.go, endpoints.go): one chain per
policy and direction, one per pod and direction that visits the policies selecting the
pod. A rule that matches leaves the number of the decision in the upper half of the
packet's mark, as Felix leaves its accept bit there, and returns; a pod whose policies
all returned without a match gets the number of its default deny.

The base chain of the dataplane then writes the tuple that it sees and the number into a
dynamic set, and drops what is denied. Writing and dropping are two rules, so a full set
can lose a record but never change a verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, collapse_addresses

from nodeport_lab.dataplanes.names import host_interface
from nodeport_lab.dataplanes.nftables import Table, elements, identifier
from nodeport_lab.errors import LabError
from nodeport_lab.model import (
    Action,
    Decision,
    Direction,
    IPBlock,
    Network,
    NetworkPolicy,
    Pod,
    PolicyPort,
    Protocol,
    Scenario,
)
from nodeport_lab.policy import Clause, clauses, named_ports, policies_selecting

DECISION_SHIFT = 16
DENIED = 0x8000  # in the number of a decision; the rest counts the rules
_UPPER_HALF = 0xFFFF0000
_LOWER_HALF = 0x0000FFFF
RECORD_TYPE = (
    "type ipv4_addr . inet_service . ipv4_addr . inet_service . mark; size 65535; flags dynamic"
)

PeerMatcher = Callable[[Clause, Direction], list[str]]
"""Peer of a clause -> alternative nft matches; [""] is anything, [] is nothing."""


@dataclass(frozen=True, slots=True)
class RuleReference:
    """What the number of a decision stands for."""

    direction: Direction
    policy: str | None
    rule: str
    action: Action
    policy_namespace: str | None = None

    def decision(self, node: str, hook: Hook, source: str, destination: str) -> Decision:
        """This rule's decision on a packet that a node's hook saw with these `address:port`."""
        return Decision(
            direction=self.direction,
            node=node,
            hook=hook.label,
            seen_source=source,
            seen_destination=destination,
            policy=self.policy,
            rule=self.rule,
            action=self.action,
            policy_namespace=self.policy_namespace,
        )


@dataclass(frozen=True, slots=True)
class Hook:
    """A place where a dataplane evaluates policy: one dynamic set per protocol.

    Attributes:
        name: prefix of the sets' names, unique in the table (`egress-forward`).
        direction: which side's policy is evaluated there.
        label: what people call the place ("filter FORWARD").
    """

    name: str
    direction: Direction
    label: str


class Compiler:
    """Turns one set of policies into chains, on as many nodes as there are.

    Attributes:
        references: decision number -> what it stands for; the DENIED bit is part of the
            number.
    """

    def __init__(
        self,
        scenario: Scenario,
        network: Network,
        policies: Sequence[NetworkPolicy],
        match_peer: PeerMatcher,
        interface_prefix: str,
    ) -> None:
        """Compile these policies.

        Args:
            scenario: whose pods they select.
            network: addresses of the pods.
            policies: what is in force.
            match_peer: what the dataplane matches on.
            interface_prefix: how the node's ends of the pods' veth pairs are named.
        """
        self._scenario = scenario
        self._network = network
        self._policies = policies
        self._match_peer = match_peer
        self._prefix = interface_prefix
        self._numbers: dict[RuleReference, int] = {}
        self.references: dict[int, RuleReference] = {}

    def dispatch(self, table: Table, hook: Hook, pods: Sequence[Pod]) -> list[str]:
        """Add the chains that these pods need, and return the rules that evaluate them.

        The rules belong into the base chain of the hook: they decide, record the tuple
        that they see, and drop what is denied. Without pods there is nothing to decide.
        """
        if not pods:
            return []
        direction = hook.direction
        chosen = {pod: policies_selecting(self._policies, pod, direction) for pod in pods}
        existing = {chain.name for chain in table.chains}
        for policy in dict.fromkeys(policy for some in chosen.values() for policy in some):
            name = _policy_chain(policy, direction)
            if name not in existing:
                table.chain(name, self._rules(policy, direction))
        targets = []
        for pod, selecting in chosen.items():
            name = identifier(f"{direction}-of", pod.namespace, pod.name)
            if name not in existing:
                table.chain(name, self._visits(selecting, direction))
            targets.append(f'"{host_interface(self._prefix, pod)}" : jump {name}')
        interface = "iifname" if direction is Direction.EGRESS else "oifname"
        for protocol in ("tcp", "udp"):
            table.sets[f"{hook.name}-{protocol}"] = RECORD_TYPE
        return _evaluation(hook, f"{interface} vmap {elements(targets)}")

    def _rules(self, policy: NetworkPolicy, direction: Direction) -> list[str]:
        rules = []
        for clause in clauses(policy, direction, self._scenario):
            reference = RuleReference(
                direction, policy.name, clause.path, Action.ALLOW, policy.namespace
            )
            decide = self._decide(reference)
            rules += [
                " ".join(part for part in (peer, ports, decide, "return") if part)
                for ports in match_ports(clause.ports, self._scenario, self._network)
                for peer in self._match_peer(clause, direction)
            ]
        return rules

    def _visits(self, selecting: Sequence[NetworkPolicy], direction: Direction) -> list[str]:
        rules = []
        for policy in selecting:
            rules += [
                f"jump {_policy_chain(policy, direction)}",
                f"meta mark & {_UPPER_HALF:#x} != 0 return",
            ]
        return [*rules, self._decide(_otherwise(direction, selecting))]

    def _decide(self, reference: RuleReference) -> str:
        if reference not in self._numbers:
            count = len(self._numbers) + 1
            if count >= DENIED:
                raise LabError(
                    f"the policies in force need {count} or more distinct decisions and the lab "
                    f"numbers up to {DENIED - 1}; apply fewer policies at once"
                )
            number = count | (DENIED if reference.action is Action.DENY else 0)
            self._numbers[reference] = number
            self.references[number] = reference
        return f"meta mark set meta mark | {self._numbers[reference] << DECISION_SHIFT:#x}"


def _evaluation(hook: Hook, dispatch: str) -> list[str]:
    decided = f"meta mark & {_UPPER_HALF:#x} != 0"
    return [
        f"meta mark set meta mark & {_LOWER_HALF:#x}",
        dispatch,
        *(
            f"{decided} add @{hook.name}-{protocol} {{ ip saddr . {protocol} sport . "
            f"ip daddr . {protocol} dport . meta mark }}"
            for protocol in ("tcp", "udp")
        ),
        f"meta mark & {DENIED << DECISION_SHIFT:#x} != 0 drop",
    ]


def match_ports(ports: Sequence[PolicyPort], scenario: Scenario, network: Network) -> list[str]:
    """Port clauses as alternative nft matches; SCTP is never probed and left out."""
    if not ports:
        return [""]
    matches = []
    for clause in ports:
        if clause.protocol is Protocol.SCTP:
            continue
        protocol = clause.protocol.lower()
        if clause.port is None:
            matches.append(f"meta l4proto {protocol}")
        elif isinstance(clause.port, str):
            numbers = named_ports(scenario, clause.port, clause.protocol)
            pairs = [
                f"{network.pods[pod]} . {number}"
                for pod, number in numbers.items()
                if pod in network.pods
            ]
            if pairs:
                matches.append(f"ip daddr . {protocol} dport {elements(pairs)}")
        elif clause.end_port is None:
            matches.append(f"{protocol} dport {clause.port}")
        else:
            matches.append(f"{protocol} dport {clause.port}-{clause.end_port}")
    return matches


def match_block(block: IPBlock, address: str) -> str | None:
    """An ipBlock as a match on `ip saddr` or `ip daddr`; None where it is IPv6."""
    if not isinstance(block.cidr, IPv4Network):
        return None
    excepted = collapse_addresses(
        network for network in block.except_ if isinstance(network, IPv4Network)
    )
    left_out = elements(excepted)
    inside = f"{address} {block.cidr}"
    return inside if left_out == "{  }" else f"{inside} {address} != {left_out}"


def match_pods(keys: frozenset[str], network: Network, address: str) -> str | None:
    """Selected pods as a match on their addresses; None where there are none."""
    addresses = sorted(network.pods[key] for key in keys if key in network.pods)
    return f"{address} {elements(addresses)}" if addresses else None


def _policy_chain(policy: NetworkPolicy, direction: Direction) -> str:
    return identifier(f"{direction}-policy", policy.namespace, policy.name)


def _otherwise(direction: Direction, selecting: Sequence[NetworkPolicy]) -> RuleReference:
    if not selecting:
        return RuleReference(direction, None, "not-selected", Action.ALLOW)
    if len(selecting) > 1:
        return RuleReference(direction, None, "default-deny", Action.DENY)
    (only,) = selecting
    return RuleReference(direction, only.name, "default-deny", Action.DENY, only.namespace)
