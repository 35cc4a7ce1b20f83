"""NetworkPolicies back into manifests: what `policies` reads, written for a cluster."""

from __future__ import annotations

from typing import Any

from nodeport_lab.model import (
    Direction,
    IPBlock,
    LabelSelector,
    NetworkPolicy,
    PodPeer,
    PolicyPort,
    PolicyRule,
)


def render_policy(policy: NetworkPolicy) -> dict[str, Any]:
    """A NetworkPolicy as a manifest that `read_policy` reads as the same policy.

    `policyTypes` are always written, so that no default of the API takes part.
    """
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": policy.name, "namespace": policy.namespace},
        "spec": {
            "podSelector": render_selector(policy.pod_selector),
            "policyTypes": [
                name
                for name, direction in (
                    ("Ingress", Direction.INGRESS),
                    ("Egress", Direction.EGRESS),
                )
                if direction in policy.directions
            ],
            "ingress": [_rule(rule, "from") for rule in policy.ingress],
            "egress": [_rule(rule, "to") for rule in policy.egress],
        },
    }


def render_selector(selector: LabelSelector) -> dict[str, Any]:
    """A label selector; one without requirements is `{}`, which selects everything."""
    rendered: dict[str, Any] = {}
    if selector.match_labels:
        rendered["matchLabels"] = dict(selector.match_labels)
    if selector.match_expressions:
        rendered["matchExpressions"] = [
            {
                "key": requirement.key,
                "operator": str(requirement.operator),
                **({"values": list(requirement.values)} if requirement.values else {}),
            }
            for requirement in selector.match_expressions
        ]
    return rendered


def _rule(rule: PolicyRule, peers: str) -> dict[str, Any]:
    rendered: dict[str, Any] = {}
    if rule.peers:
        rendered[peers] = [_peer(peer) for peer in rule.peers]
    if rule.ports:
        rendered["ports"] = [_port(clause) for clause in rule.ports]
    return rendered


def _peer(peer: IPBlock | PodPeer) -> dict[str, Any]:
    if isinstance(peer, IPBlock):
        excepted = {"except": [str(part) for part in peer.except_]} if peer.except_ else {}
        return {"ipBlock": {"cidr": str(peer.cidr), **excepted}}
    selectors = {"podSelector": peer.pod_selector, "namespaceSelector": peer.namespace_selector}
    return {
        name: render_selector(selector)
        for name, selector in selectors.items()
        if selector is not None
    }


def _port(clause: PolicyPort) -> dict[str, Any]:
    rendered: dict[str, Any] = {"protocol": str(clause.protocol)}
    if clause.port is not None:
        rendered["port"] = clause.port
    if clause.end_port is not None:
        rendered["endPort"] = clause.end_port
    return rendered
