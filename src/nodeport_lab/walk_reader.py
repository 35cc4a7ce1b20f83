"""From the kernel's trace and a probe's result to a `walk.Walk`. Pure functions.

Three sources, which stay apart. Addresses, translations and decisions are the trace's.
Which clauses a policy has, and so which of them did not match, is the manifest's: nft
tells of rules that match and of no others. How the probe ended and what the application
logged is the probe's own result.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

from nodeport_lab.cells import Cell
from nodeport_lab.dataplanes import Dataplane
from nodeport_lab.dataplanes.names import host_interface, node_namespace
from nodeport_lab.dataplanes.policy_chains import DECISION_SHIFT, Hook
from nodeport_lab.errors import TestbedError
from nodeport_lab.manifests import NO_POLICY
from nodeport_lab.model import (
    Action,
    ClientKind,
    Decision,
    Direction,
    IPBlock,
    Network,
    NetworkPolicy,
    Pod,
    PolicyPort,
    Protocol,
    Run,
    Scenario,
    Verdict,
)
from nodeport_lab.policy import Clause, clauses, named_ports, policies_selecting
from nodeport_lab.testbeds.interface import ProbeResult
from nodeport_lab.trace import End, Event, EventKind, Header, Passage, Tuple, way
from nodeport_lab.walk import (
    Considered,
    Drop,
    Evaluation,
    Exemption,
    Lane,
    Mismatch,
    Place,
    PlaceKind,
    Role,
    Rule,
    Side,
    Step,
    Translation,
    Visit,
    Walk,
)

_DECIDED = re.compile(r"mark set (?:meta )?mark (?:\||or) (?P<bits>0x[0-9a-f]+)")
_RECORDED = re.compile(r" add @(?P<set>\S+) ")
_REPLACES_DESTINATION = re.compile(r"\b(dnat to|redirect)\b")
_REPLACES_SOURCE = re.compile(r"\b(snat to|masquerade)\b")
_GENERATION = re.compile(r"-\d+$")  # of a table of policies; every change makes a new one


@dataclass(frozen=True, slots=True)
class Setting:
    """What a packet meets: a scenario on a dataplane, with policies in force."""

    scenario: Scenario
    network: Network
    dataplane: Dataplane
    options: Mapping[str, str]
    policies: tuple[NetworkPolicy, ...]


def read_walk(  # noqa: PLR0913, PLR0917 - a walk has this many sources
    run: Run,
    setting: Setting,
    cell: Cell,
    result: ProbeResult,
    control: ProbeResult,
    told: Mapping[str, Sequence[Passage]],
) -> Walk:
    """The walk of a cell's first packet.

    Args:
        run: how the testbed, the dataplane and the options are named.
        setting: what the packet could meet.
        cell: the connection.
        result: how it ended.
        control: how it ended without policy.
        told: place -> the passages that the kernel traced there.

    Raises:
        TestbedError: nft prints decisions in a form that is not known here.
    """
    reader = _Reader(setting)
    visits = reader.visits(cell, told)
    server = next(
        (pod for pod in setting.scenario.pods if pod.key == (result.backend or control.backend)),
        None,
    )
    return Walk(
        run=run,
        policy=", ".join(policy.name for policy in setting.policies) or NO_POLICY,
        client=cell.client.name,
        route=cell.way,
        dialled=_dialled(cell),
        protocol=cell.probe.protocol,
        lanes=reader.lanes(cell, visits, server),
        visits=visits,
        outcome=str(result.verdict) if control.verdict is Verdict.ALLOWED else "no path",
        control=control.verdict,
        server=server.name if server else None,
        application_source=result.application_source,
        detail=result.detail,
    )


def _dialled(cell: Cell) -> str:
    return f"{cell.probe.address}:{cell.probe.port}"


def _home(cell: Cell) -> str:
    """Where the client's packets are made, by the name that the trace has for it."""
    client = cell.client
    if client.kind is ClientKind.POD and client.pod is not None:
        return client.pod.key
    return client.node or client.name


class _Reader:
    """Reads the trace of one setting."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._compiled = setting.dataplane.police(
            setting.scenario, setting.network, setting.policies, setting.options
        )
        self._pods = {pod.key: pod for pod in setting.scenario.pods}
        self._nodes = {node.name for node in setting.scenario.nodes}
        self._hooks = {
            f"{hook.name}-{protocol.lower()}": hook
            for hook in self._compiled.hooks
            for protocol in (Protocol.TCP, Protocol.UDP)
        }
        self._doors = {
            host_interface(setting.dataplane.interface_prefix, pod): pod
            for pod in setting.scenario.pods
            if not pod.host_network
        }

    def visits(self, cell: Cell, told: Mapping[str, Sequence[Passage]]) -> tuple[Visit, ...]:
        """Where the first packet of a cell was, and what it met there."""
        found = way(told, _home(cell), _dialled(cell), cell.probe.protocol.lower())
        return tuple(
            Visit(
                place=self._place(name),
                arrived_by=entry.arrived_by,
                entered=entry.addresses,
                steps=tuple(self._steps(name, passage, entry)),
                end=passage.end,
                lines=tuple(event.line for event in passage.events),
            )
            for name, passage in found
            if (entry := passage.entry) is not None
        )

    def lanes(self, cell: Cell, visits: Sequence[Visit], server: Pod | None) -> tuple[Lane, ...]:
        """The places of a packet's way, and those that it would have come to if it had arrived."""
        nodes = {
            Role.CLIENT: cell.client.node,
            Role.DIALLED: cell.dialled_node,
            Role.SERVER: server.node if server else None,
        }
        reached = dict.fromkeys(visit.place for visit in visits)
        beyond = [Place(name, PlaceKind.NODE) for name in nodes.values() if name is not None]
        if server is not None and not server.host_network:
            beyond.append(self._place(server.key))
        if visits and visits[-1].end is End.ARRIVED:
            beyond = []
        return tuple(
            Lane(
                place,
                tuple(
                    role
                    for role, name in nodes.items()
                    if place == Place(name or "", PlaceKind.NODE)
                ),
                place in reached,
            )
            for place in dict.fromkeys((*reached, *beyond))
        )

    def _place(self, name: str) -> Place:
        if name in self._nodes:
            return Place(name, PlaceKind.NODE)
        if name in self._pods:
            return Place(self._pods[name].name, PlaceKind.POD)
        return Place(name, PlaceKind.MACHINE)

    def _steps(self, name: str, passage: Passage, header: Header) -> Iterator[Step]:
        """What happened in a passage that began with this header."""
        rules: list[Event] = []
        number = 0
        denied = False
        for event in passage.events:
            if event.header is not None:
                yield from _translations(header.addresses, event.header.addresses, rules)
                header, rules = event.header, []
            if event.kind is not EventKind.RULE:
                continue
            rules.append(event)
            number = _decided(event) or number
            hook = self._hook(event)
            if hook is not None:
                evaluation = self._evaluation(name, hook, number, header)
                denied = evaluation.decision.action is Action.DENY
                number = 0
                yield evaluation
            elif event.verdict == "drop" and not denied:
                yield Drop(_rule(event))
            elif event.verdict == "accept" and self._exempts(name, event, header):
                yield Exemption(_rule(event))

    def _hook(self, event: Event) -> Hook | None:
        found = _RECORDED.search(event.text)
        return self._hooks.get(found["set"]) if found else None

    def _exempts(self, name: str, event: Event, header: Header) -> bool:
        """Whether a rule accepts, ahead of policy, a packet that comes from or goes to a pod."""
        table = self._compiled.tables.get(node_namespace(name))
        return (
            table is not None
            and _without_generation(event) == table.name
            and bool(self._doors.keys() & {header.arrived_by, header.leaves_by})
        )

    def _evaluation(self, node: str, hook: Hook, number: int, header: Header) -> Evaluation:
        egress = hook.direction is Direction.EGRESS
        pod = self._doors.get((header.arrived_by if egress else header.leaves_by) or "")
        reference = self._compiled.references.get(number)
        if reference is None or pod is None:
            raise TestbedError(
                f"the kernel's trace of {node} names no decision at {hook.label}; look for the "
                "version of nftables in: nodeport-lab doctor"
            )
        decision = reference.decision(
            node, hook, header.addresses.source, header.addresses.destination
        )
        protocol = Protocol(header.addresses.protocol.upper())
        return Evaluation(pod.name, decision, tuple(self._considered(pod, decision, protocol)))

    def _considered(self, pod: Pod, decision: Decision, protocol: Protocol) -> Iterator[Considered]:
        """The clauses of the policies that select a pod, up to the one that matched."""
        direction = decision.direction
        for policy in policies_selecting(self._setting.policies, pod, direction):
            written = [peer for rule in policy.rules(direction) for peer in rule.peers or (None,)]
            for clause, peer in zip(
                clauses(policy, direction, self._setting.scenario), written, strict=True
            ):
                matched = (decision.policy_namespace, decision.policy, decision.rule) == (
                    policy.namespace,
                    policy.name,
                    clause.path,
                )
                mismatch = None if matched else self._mismatch(clause, decision, protocol)
                yield Considered(policy.name, clause.path, peer, clause.ports, mismatch)
                if matched:
                    return

    def _mismatch(self, clause: Clause, decision: Decision, protocol: Protocol) -> Mismatch:
        """Why a clause did not match, going by what the manifest says literally."""
        destination, _, port = decision.seen_destination.rpartition(":")
        egress = decision.direction is Direction.EGRESS
        address = destination if egress else decision.seen_source.rpartition(":")[0]
        if not self._contains(clause.peer, address):
            return Mismatch.ADDRESS
        fits = not clause.ports or any(
            self._fits(each, protocol, destination, int(port)) for each in clause.ports
        )
        return Mismatch.MEANING if fits else Mismatch.PORT

    def _contains(self, peer: IPBlock | frozenset[str] | None, address: str) -> bool:
        if peer is None:
            return True
        wanted = IPv4Address(address)
        if isinstance(peer, IPBlock):
            return wanted in peer.cidr and not any(wanted in part for part in peer.except_)
        return any(self._setting.network.pods.get(key) == wanted for key in peer)

    def _fits(self, clause: PolicyPort, protocol: Protocol, destination: str, port: int) -> bool:
        if clause.protocol is not protocol:
            return False
        if isinstance(clause.port, str):
            named = named_ports(self._setting.scenario, clause.port, protocol)
            return any(
                str(self._setting.network.pods.get(key)) == destination and number == port
                for key, number in named.items()
            )
        return clause.port is None or clause.port <= port <= (clause.end_port or clause.port)


def _translations(before: Tuple, after: Tuple, rules: Sequence[Event]) -> Iterator[Translation]:
    """What changed between two sights of a packet, by the last rule in between that could."""
    if before.destination != after.destination:
        rule = _last(rules, _REPLACES_DESTINATION)
        yield Translation(Side.DESTINATION, before.destination, after.destination, rule)
    if before.source != after.source:
        rule = _last(rules, _REPLACES_SOURCE)
        yield Translation(Side.SOURCE, before.source, after.source, rule)


def _last(rules: Sequence[Event], statement: re.Pattern[str]) -> Rule | None:
    return next((_rule(event) for event in reversed(rules) if statement.search(event.text)), None)


def _rule(event: Event) -> Rule:
    text = event.text.partition(" (verdict ")[0]
    return Rule(_without_generation(event), event.chain, text)


def _without_generation(event: Event) -> str:
    return _GENERATION.sub("", event.table)


def _decided(event: Event) -> int:
    found = _DECIDED.search(event.text)
    return int(found["bits"], 16) >> DECISION_SHIFT if found else 0
