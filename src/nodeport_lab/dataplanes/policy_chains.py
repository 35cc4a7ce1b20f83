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
from dataclasses import dataclass, field
from ipaddress import IPv4Network, collapse_addresses

from nodeport_lab.dataplanes.nftables import Table, elements, identifier
from nodeport_lab.model import (
    Action,
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

ClauseMatcher = Callable[[Clause, Direction], list[str]]
"""Peer of a clause -> alternative nft matches; [""] is anything, [] is nothing."""


@dataclass(frozen=True, slots=True)
class RuleReference:
    """What the number of a decision stands for."""

    direction: Direction
    policy: str | None
    rule: str
    action: Action


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


@dataclass(slots=True)
class RuleBook:
    """Hands out decision numbers and remembers what they stand for."""

    references: dict[int, RuleReference] = field(default_factory=dict)
    _numbers: dict[RuleReference, int] = field(default_factory=dict)

    def number(self, reference: RuleReference) -> int:
        """The number of a decision, with the DENIED bit where it denies."""
        if reference not in self._numbers:
            count = len(self._numbers) + 1
            number = count | (DENIED if reference.action is Action.DENY else 0)
            self._numbers[reference] = number
            self.references[number] = reference
        return self._numbers[reference]


def add_policy_chains(  # noqa: PLR0913 - a compilation has this many inputs
    table: Table,
    book: RuleBook,
    scenario: Scenario,
    network: Network,
    policies: Sequence[NetworkPolicy],
    direction: Direction,
    pods: Sequence[Pod],
    match_peer: ClauseMatcher,
) -> dict[str, str]:
    """Add the chains for these pods and one direction.

    Returns:
        pod key -> the chain that decides for it.
    """
    chosen = {pod.key: policies_selecting(policies, pod, direction) for pod in pods}
    for policy in dict.fromkeys(policy for some in chosen.values() for policy in some):
        rules = []
        for clause in clauses(policy, direction, scenario):
            reference = RuleReference(direction, policy.name, clause.path, Action.ALLOW)
            decide = _decide(book, reference)
            for ports in match_ports(clause.ports, scenario, network):
                rules += [
                    " ".join(part for part in (peer, ports, decide, "return") if part)
                    for peer in match_peer(clause, direction)
                ]
        table.chain(_policy_chain(policy, direction), rules)
    by_pod = {}
    for pod in pods:
        rules = []
        for policy in chosen[pod.key]:
            rules += [
                f"jump {_policy_chain(policy, direction)}",
                f"meta mark & {_UPPER_HALF:#x} != 0 return",
            ]
        rules.append(_decide(book, _otherwise(direction, chosen[pod.key])))
        by_pod[pod.key] = identifier(f"{direction}-of", pod.namespace, pod.name)
        table.chain(by_pod[pod.key], rules)
    return by_pod


def evaluate(hook: Hook, dispatch: str) -> list[str]:
    """Base-chain rules: decide by way of `dispatch`, record the tuple, drop the denied."""
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


def dispatch(interface: str, chains: dict[str, str]) -> str:
    """Send a packet to its pod's chain by the pod's interface (`iifname`, `oifname`)."""
    targets = (f'"{name}" : jump {chain}' for name, chain in chains.items())
    return f"{interface} vmap {elements(targets)}"


def declare_records(table: Table, hooks: Sequence[Hook]) -> None:
    """Declare the dynamic sets of some hooks."""
    for hook in hooks:
        for protocol in ("tcp", "udp"):
            table.sets[f"{hook.name}-{protocol}"] = RECORD_TYPE


def match_ports(
    ports: Sequence[PolicyPort], scenario: Scenario, network: Network
) -> list[str]:
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


def _decide(book: RuleBook, reference: RuleReference) -> str:
    return f"meta mark set meta mark | {book.number(reference) << DECISION_SHIFT:#x}"


def _otherwise(direction: Direction, selecting: Sequence[NetworkPolicy]) -> RuleReference:
    if not selecting:
        return RuleReference(direction, None, "not-selected", Action.ALLOW)
    only = selecting[0].name if len(selecting) == 1 else None
    return RuleReference(direction, only, "default-deny", Action.DENY)
