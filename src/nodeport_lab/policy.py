"""NetworkPolicy v1: who is selected, and who may talk to whom.

The semantics that Kubernetes defines, and nothing that depends on a dataplane: label
selectors, the union of policies, and what one rule stands for. Source of every rule
here: the API reference of networking.k8s.io/v1 NetworkPolicy and the page "Network
Policies" of the Kubernetes documentation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from nodeport_lab.model import (
    Direction,
    IPBlock,
    LabelSelector,
    NetworkPolicy,
    Operator,
    Pod,
    PodPeer,
    PolicyPort,
    Protocol,
    Requirement,
    Scenario,
)


@dataclass(frozen=True, slots=True)
class Clause:
    """One peer of one rule with the rule's ports: the unit that can match a flow.

    Attributes:
        path: where it stands in the manifest, for example `egress[0].to[1]`.
        peer: an IPBlock, the keys of the pods that the peer selects, or None for any
            peer. Host-network pods are absent: no CNI selects them by label.
        ports: the port clauses of the rule; empty means any port.
    """

    path: str
    peer: IPBlock | frozenset[str] | None
    ports: tuple[PolicyPort, ...]


def selector_matches(selector: LabelSelector, labels: Mapping[str, str]) -> bool:
    """Tell whether a label selector accepts these labels; every requirement must hold."""
    return all(labels.get(key) == value for key, value in selector.match_labels) and all(
        _requirement_holds(requirement, labels) for requirement in selector.match_expressions
    )


def _requirement_holds(requirement: Requirement, labels: Mapping[str, str]) -> bool:
    present = requirement.key in labels
    match requirement.operator:
        case Operator.IN:
            return present and labels[requirement.key] in requirement.values
        case Operator.NOT_IN:
            return not present or labels[requirement.key] not in requirement.values
        case Operator.EXISTS:
            return present
        case Operator.DOES_NOT_EXIST:
            return not present


def policies_selecting(
    policies: Iterable[NetworkPolicy], pod: Pod, direction: Direction
) -> tuple[NetworkPolicy, ...]:
    """The policies that isolate a pod in one direction, by namespace and name.

    A host-network pod is selected by none: Kubernetes leaves its treatment undefined,
    and Calico and Cilium both give it the node's identity instead.
    """
    if pod.host_network:
        return ()
    labels = dict(pod.labels)
    return tuple(
        sorted(
            (
                policy
                for policy in policies
                if policy.namespace == pod.namespace
                and direction in policy.directions
                and selector_matches(policy.pod_selector, labels)
            ),
            key=lambda policy: (policy.namespace, policy.name),
        )
    )


def clauses(policy: NetworkPolicy, direction: Direction, scenario: Scenario) -> Iterator[Clause]:
    """Yield what a policy allows in one direction, peer by peer, in manifest order."""
    side = "to" if direction is Direction.EGRESS else "from"
    for number, rule in enumerate(policy.rules(direction)):
        path = f"{direction}[{number}]"
        if not rule.peers:
            yield Clause(path, None, rule.ports)
        for position, peer in enumerate(rule.peers):
            selected = peer if isinstance(peer, IPBlock) else _selected(peer, policy, scenario)
            yield Clause(f"{path}.{side}[{position}]", selected, rule.ports)


def _selected(peer: PodPeer, policy: NetworkPolicy, scenario: Scenario) -> frozenset[str]:
    if peer.namespace_selector is None:
        namespaces = {policy.namespace}
    else:
        namespaces = {
            namespace.name
            for namespace in scenario.namespaces
            if selector_matches(peer.namespace_selector, dict(namespace.labels))
        }
    return frozenset(
        pod.key
        for pod in scenario.pods
        if not pod.host_network
        and pod.namespace in namespaces
        and (peer.pod_selector is None or selector_matches(peer.pod_selector, dict(pod.labels)))
    )


def named_ports(scenario: Scenario, name: str, protocol: Protocol) -> dict[str, int]:
    """Pod key -> number of the first container port of that name, on pods that declare it."""
    found: dict[str, int] = {}
    for pod in scenario.pods:
        for port in pod.ports:
            if not pod.host_network and port.name == name and port.protocol is protocol:
                found.setdefault(pod.key, port.port)
    return found
