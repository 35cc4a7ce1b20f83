"""Which rule would let a denied connection through, and what else would it let through?

Candidates are made from what the denying hook saw, never from a claim or a table. Each is
put beside the policy in force, alone, and every cell is probed again: the packets say
whether it helps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any

from nodeport_lab.cells import Cell
from nodeport_lab.errors import LabError
from nodeport_lab.model import (
    Action,
    ClientKind,
    Decision,
    Direction,
    IPBlock,
    LabelSelector,
    Network,
    NetworkPolicy,
    Pod,
    PodPeer,
    PolicyPort,
    PolicyRule,
    Scenario,
    Verdict,
)
from nodeport_lab.testbeds.interface import ProbeResult, Testbed

NAME = "candidate"
_NAMESPACE_LABEL = "kubernetes.io/metadata.name"  # every Namespace has it


@dataclass(frozen=True, slots=True)
class Candidate:
    """A rule that might help, in words and as a policy of its own."""

    words: str
    policy: NetworkPolicy


@dataclass(frozen=True, slots=True)
class Advice:
    """What was tried for one denied cell.

    Attributes:
        tried: candidates in the order of trial, narrow ones first, with whether each helped.
        chosen: the first that helped; None if none did.
        opened: the other cells that it opens besides.
    """

    tried: tuple[tuple[Candidate, bool], ...]
    chosen: Candidate | None
    opened: tuple[Cell, ...]


def advise(  # noqa: PLR0913, PLR0917 - a running testbed, a question, and where to look
    testbed: Testbed,
    scenario: Scenario,
    policy: NetworkPolicy,
    cells: Sequence[Cell],
    cell: Cell,
    deadline: float,
) -> Advice:
    """Try candidates for a cell that a policy denies, until one lets it through.

    Args:
        testbed: running; the policy in force is changed.
        scenario: what it runs.
        policy: the policy that denies.
        cells: every cell, to see what a candidate opens besides.
        cell: the denied one, of `cells`.
        deadline: seconds for a probe.

    Raises:
        LabError: the cell is not denied.
    """
    wanted = cells.index(cell)
    probes = [each.probe for each in cells]
    testbed.apply([policy])
    before = testbed.probe(probes, deadline)
    denied = [one for one in before[wanted].decisions if one.action is Action.DENY]
    if before[wanted].verdict is Verdict.ALLOWED or not denied:
        raise LabError(
            f"{cell.client.name} reaches {cell.server} by {cell.route} under {policy.name} "
            f"({before[wanted].verdict}); name a cell that the policy denies"
        )
    tried: list[tuple[Candidate, bool]] = []
    for candidate in candidates(denied[0], cell, scenario, testbed.network):
        testbed.apply([policy, candidate.policy])
        after = testbed.probe(probes, deadline)
        helped = after[wanted].verdict is Verdict.ALLOWED
        tried.append((candidate, helped))
        if helped:
            return Advice(tuple(tried), candidate, _opened(cells, cell, before, after))
    return Advice(tuple(tried), None, ())


def candidates(
    denied: Decision, cell: Cell, scenario: Scenario, network: Network
) -> Iterator[Candidate]:
    """Rules worth trying for one denial: by label, then by address; with port, then without."""
    by_address = {str(address): key for key, address in network.pods.items()}
    pods = {pod.key: pod for pod in scenario.pods}
    destination, _, port = denied.seen_destination.rpartition(":")
    if denied.direction is Direction.EGRESS:
        selected, peer = cell.client.pod, _server(cell, scenario)
        seen = destination
    else:
        selected = pods.get(by_address.get(destination, ""))
        peer = cell.client.pod if cell.client.kind is ClientKind.POD else None
        seen = denied.seen_source.rpartition(":")[0]
    if selected is None:
        return
    peers: list[tuple[str, PodPeer | tuple[IPBlock, ...]]] = []
    if peer is not None:
        peers.append((f"pods labelled {_labels(peer)}", _by_label(peer, selected)))
    peers += [
        ("the nodes' addresses", (IPBlock(network.node_cidr),)),
        (
            "the nodes' tunnel addresses",
            tuple(IPBlock(IPv4Network(address)) for address in network.tunnels.values()),
        ),
        (f"the address {seen} alone", (IPBlock(IPv4Network(f"{seen}/32")),)),
    ]
    clause = PolicyPort(cell.probe.protocol, int(port))
    for words, made in peers:
        blocks = (made,) if isinstance(made, PodPeer) else made
        if not blocks:
            continue
        for ports, suffix in (((clause,), f", port {port}"), ((), "")):
            yield Candidate(
                f"{denied.direction}: {words}{suffix}",
                _policy(denied.direction, selected, PolicyRule(tuple(blocks), ports)),
            )


def manifest(policy: NetworkPolicy) -> dict[str, Any]:
    """A candidate as the Kubernetes object that one would apply."""
    (direction,) = policy.directions
    (rule,) = policy.rules(direction)
    side = "to" if direction is Direction.EGRESS else "from"
    written: dict[str, Any] = {}
    if rule.peers:
        written[side] = [_peer(peer) for peer in rule.peers]
    if rule.ports:
        written["ports"] = [
            {"protocol": str(port.protocol), "port": port.port} for port in rule.ports
        ]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": policy.name, "namespace": policy.namespace},
        "spec": {
            "podSelector": {"matchLabels": dict(policy.pod_selector.match_labels)},
            "policyTypes": [direction.capitalize()],
            str(direction): [written],
        },
    }


def _peer(peer: IPBlock | PodPeer) -> dict[str, Any]:
    if isinstance(peer, IPBlock):
        return {"ipBlock": {"cidr": str(peer.cidr)}}
    selectors = {
        "namespaceSelector": peer.namespace_selector,
        "podSelector": peer.pod_selector,
    }
    return {
        name: {"matchLabels": dict(selector.match_labels)}
        for name, selector in selectors.items()
        if selector is not None
    }


def _policy(direction: Direction, selected: Pod, rule: PolicyRule) -> NetworkPolicy:
    return NetworkPolicy(
        namespace=selected.namespace,
        name=NAME,
        pod_selector=LabelSelector(selected.labels),
        directions=frozenset({direction}),
        ingress=(rule,) if direction is Direction.INGRESS else (),
        egress=(rule,) if direction is Direction.EGRESS else (),
    )


def _server(cell: Cell, scenario: Scenario) -> Pod | None:
    if cell.server_pod is not None:
        return cell.server_pod
    return next((pod for pod in scenario.pods if pod.workload == cell.server and pod.ports), None)


def _by_label(pod: Pod, selected: Pod) -> PodPeer:
    """A pod by its labels; without a namespace selector those of the policy's own namespace."""
    elsewhere = LabelSelector(((_NAMESPACE_LABEL, pod.namespace),))
    return PodPeer(
        LabelSelector(pod.labels), None if pod.namespace == selected.namespace else elsewhere
    )


def _labels(pod: Pod) -> str:
    return ", ".join(f"{key}={value}" for key, value in pod.labels)


def _opened(
    cells: Sequence[Cell],
    cell: Cell,
    before: Sequence[ProbeResult],
    after: Sequence[ProbeResult],
) -> tuple[Cell, ...]:
    return tuple(
        each
        for each, was, is_ in zip(cells, before, after, strict=True)
        if each is not cell
        and was.verdict is not Verdict.ALLOWED
        and is_.verdict is Verdict.ALLOWED
    )
