"""Which questions can have different answers at all, by reasoning over the policies alone.

For one question the dataplanes differ in what policy sees: the address dialled or the pod
behind it, the caller or a node that called in its name. Every such view is tried on the
policies of either side. Questions whose views all come out alike, between places that
relate alike, cannot be told apart by this reasoning: asking one of them is enough. Clauses
are bits of an integer, so that a question costs a few operations.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Address, IPv4Network

from nodeport_lab.check.questions import Question, Target
from nodeport_lab.model import (
    Client,
    ClientKind,
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
from nodeport_lab.services import Endpoint
from nodeport_lab.testbeds.embedded.addressing import ROUTED

Kind = Hashable
"""What reasoning can tell of a question; equal kinds cannot be told apart."""

_FREE, _ALLOWED, _DENIED = range(3)
_ROUTED = ROUTED[1]


@dataclass(frozen=True, slots=True)
class _Caller:
    """A client, as far as policies are concerned; sets of clauses are bits."""

    kind: ClientKind
    node: str | None
    key: str | None
    isolated: bool
    policies: int  # clauses of the policies that isolate it
    as_peer: int  # ingress clauses that select it
    as_node: int  # ingress clauses that select its node


@dataclass(frozen=True, slots=True)
class _Door:
    """A backend of a target, as far as policies are concerned."""

    node: str
    host_network: bool
    key: str
    as_peer: int  # egress clauses that select it on its port
    isolated: bool
    policies: int  # clauses of the policies that isolate it, for its port
    all_policies: int
    as_node: int  # ingress clauses that select its node


@dataclass(frozen=True, slots=True)
class _Way:
    """A target, as far as policies are concerned."""

    head: tuple[Hashable, ...]
    node: str | None
    dialled: int  # egress clauses that select the address dialled, on the port dialled
    as_node: int  # ingress clauses that select the node dialled
    doors: tuple[_Door, ...]


class Reasoner:
    """Reasons over one scenario with its policies and addresses."""

    def __init__(
        self, scenario: Scenario, network: Network, policies: Sequence[NetworkPolicy]
    ) -> None:
        """Number every clause of every policy.

        Args:
            scenario: who exists.
            network: their addresses.
            policies: what is in force.
        """
        self._network = network
        self._policies = policies
        self._clauses: dict[Direction, list[Clause]] = {}
        self._of_policy: dict[Direction, dict[tuple[str, str], int]] = {}
        for direction in Direction:
            found: list[Clause] = []
            masks = {}
            for policy in policies:
                own = list(clauses(policy, direction, scenario))
                masks[policy.namespace, policy.name] = ((1 << len(own)) - 1) << len(found)
                found += own
            self._clauses[direction] = found
            self._of_policy[direction] = masks
        self._named = cache(lambda name, protocol: named_ports(scenario, name, protocol))
        self._address_bits = cache(self._by_address)
        self._node_bits = cache(self._by_node)
        self._callers: dict[str, _Caller] = {}
        self._ways: dict[int, tuple[Target, _Way]] = {}

    def kind(self, question: Question) -> Kind:
        """What reasoning can tell of a question."""
        client, way = self._caller(question.client), self._way(question.target)
        return (
            client.kind,
            way.head,
            way.node is not None and way.node == client.node,
            _outcome(client, way.dialled),
            frozenset(
                (
                    door.node == client.node,
                    door.node == way.node,
                    door.host_network,
                    door.key == client.key,
                    _outcome(client, door.as_peer),
                    _entering(door, client, way),
                )
                for door in way.doors
            ),
        )

    def marks(self, question: Question) -> Iterator[Kind]:
        """Clauses and default denies that a question may meet; each should be met once."""
        client, way = self._caller(question.client), self._way(question.target)
        route = question.target.route
        for door in way.doors:
            if client.isolated:
                met = client.policies & (door.as_peer | way.dialled)
                yield route, Direction.EGRESS, client.policies, met
            if door.isolated:
                yield route, Direction.INGRESS, door.all_policies, door.policies & client.as_peer

    def _caller(self, client: Client) -> _Caller:
        found = self._callers.get(client.name if client.pod is None else client.pod.key)
        if found is None:
            found = self._read_caller(client)
            self._callers[found.key or client.name] = found
        return found

    def _read_caller(self, client: Client) -> _Caller:
        pod = client.pod
        if pod is None:
            as_peer = self._address_bits(Direction.INGRESS, _ROUTED)
            return _Caller(client.kind, client.node, None, False, 0, as_peer, 0)  # noqa: FBT003
        mask, isolated = self._selecting(pod, Direction.EGRESS)
        return _Caller(
            kind=client.kind,
            node=client.node,
            key=pod.key,
            isolated=isolated,
            policies=mask,
            as_peer=self._pod_bits(Direction.INGRESS, pod),
            as_node=self._node_bits(client.node),
        )

    def _way(self, target: Target) -> _Way:
        kept = self._ways.get(id(target))
        if kept is None:  # the target is kept as well, so that its id stays its own
            kept = self._ways[id(target)] = target, self._read_way(target)
        return kept[1]

    def _read_way(self, target: Target) -> _Way:
        leaving, service = Direction.EGRESS, target.service
        return _Way(
            head=(
                target.route,
                target.protocol,
                service and (service.external_traffic_policy, service.internal_traffic_policy),
            ),
            node=target.node,
            dialled=self._address_bits(leaving, target.address)
            & self._port_bits(leaving, None, target.port, target.protocol),
            as_node=self._node_bits(target.node),
            doors=tuple(self._door(backend, target.protocol) for backend in target.backends),
        )

    def _door(self, backend: Endpoint, protocol: Protocol) -> _Door:
        pod = backend.pod
        mask, isolated = self._selecting(pod, Direction.INGRESS)
        leaving, entering = Direction.EGRESS, Direction.INGRESS
        return _Door(
            node=pod.node,
            host_network=pod.host_network,
            key=pod.key,
            as_peer=self._pod_bits(leaving, pod)
            & self._port_bits(leaving, pod, backend.port, protocol),
            isolated=isolated,
            policies=mask & self._port_bits(entering, pod, backend.port, protocol),
            all_policies=mask,
            as_node=self._node_bits(pod.node),
        )

    def _selecting(self, pod: Pod, direction: Direction) -> tuple[int, bool]:
        """Clauses of the policies that select a pod, and whether there are any policies."""
        masks = self._of_policy[direction]
        selecting = policies_selecting(self._policies, pod, direction)
        found = 0
        for policy in selecting:
            found |= masks[policy.namespace, policy.name]
        return found, bool(selecting)

    def _pod_bits(self, direction: Direction, pod: Pod) -> int:
        """Clauses that select a pod, by its labels or by its address."""
        by_label = _bits(
            isinstance(clause.peer, frozenset) and pod.key in clause.peer
            for clause in self._clauses[direction]
        )
        return by_label | self._address_bits(direction, self._network.pods[pod.key])

    def _by_address(self, direction: Direction, address: IPv4Address) -> int:
        return _bits(
            clause.peer is None
            or (isinstance(clause.peer, IPBlock) and _holds(clause.peer, address))
            for clause in self._clauses[direction]
        )

    def _by_node(self, node: str | None) -> int:
        found = 0
        for addresses in (self._network.nodes, self._network.tunnels):
            if node in addresses:
                found |= self._address_bits(Direction.INGRESS, addresses[node])
        return found

    def _port_bits(
        self, direction: Direction, pod: Pod | None, port: int, protocol: Protocol
    ) -> int:
        return _bits(
            not clause.ports
            or any(self._port_holds(one, pod, port, protocol) for one in clause.ports)
            for clause in self._clauses[direction]
        )

    def _port_holds(
        self, clause: PolicyPort, pod: Pod | None, port: int, protocol: Protocol
    ) -> bool:
        if clause.protocol is not protocol:
            return False
        if isinstance(clause.port, str):
            return pod is not None and self._named(clause.port, protocol).get(pod.key) == port
        return clause.port is None or clause.port <= port <= (clause.end_port or clause.port)


def _outcome(client: _Caller, peer: int) -> int:
    """How a client's own policies treat a peer."""
    if not client.isolated:
        return _FREE
    return _ALLOWED if client.policies & peer else _DENIED


def _entering(door: _Door, client: _Caller, way: _Way) -> tuple[bool, ...]:
    """How a backend's policies treat each possible source: the caller, and nodes for it."""
    if not door.isolated:
        return ()
    sources = (client.as_peer, client.as_node, way.as_node, door.as_node)
    return tuple(bool(door.policies & source) for source in sources)


def _holds(block: IPBlock, address: IPv4Address) -> bool:
    if not isinstance(block.cidr, IPv4Network) or address not in block.cidr:
        return False
    return not any(
        isinstance(left_out, IPv4Network) and address in left_out for left_out in block.except_
    )


def _bits(flags: Iterable[bool]) -> int:
    found = 0
    for number, flag in enumerate(flags):
        if flag:
            found |= 1 << number
    return found
