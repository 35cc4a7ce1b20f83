"""Rules that can never match and policies that select nothing, with file, document and field."""

from __future__ import annotations

import pytest
from support.users import manifests, pod, policy, service

from nodeport_lab.check.findings import Finding, Kind
from nodeport_lab.check.rules import read_rules
from nodeport_lab.testbeds.embedded.addressing import plan_network

WEB = pod("web", port=8080)
CLIENT = pod("client")
HOST = pod("host", port=9100, extra="hostNetwork: true, ")
NODE_PORT = service(
    "web", "{type: NodePort, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}"
)


def findings(*documents: str) -> list[Finding]:
    """What reading finds in some documents."""
    made = manifests(WEB, CLIENT, HOST, NODE_PORT, *documents)
    return read_rules(made, plan_network(made.scenario))


def egress(rule: str) -> str:
    """A policy with one egress rule for the client."""
    spec = f"{{podSelector: {{matchLabels: {{app: client}}}}, egress: [{rule}]}}"
    return policy("p", spec)


def ingress(rule: str, selector: str = "app: web") -> str:
    """A policy with one ingress rule."""
    spec = f"{{podSelector: {{matchLabels: {{{selector}}}}}, ingress: [{rule}]}}"
    return policy("p", spec)


@pytest.mark.parametrize(
    ("document", "path", "words"),
    [
        (
            egress("{to: [{ipBlock: {cidr: 10.96.0.0/16}}]}"),
            "spec.egress[0].to[0]",
            "range of cluster IPs",
        ),
        (
            ingress("{from: [{podSelector: {}}, {ipBlock: {cidr: 10.96.1.0/24}}]}"),
            "spec.ingress[0].from[1]",
            "nothing ever calls from",
        ),
        (
            egress("{to: [{ipBlock: {cidr: 172.18.0.0/24}}], ports: [{port: 8080}]}"),
            "spec.egress[0].to[0]",
            "nothing listens on 8080",
        ),
        (
            ingress("{from: [{podSelector: {matchLabels: {app: host}}}]}"),
            "spec.ingress[0].from[0]",
            "in the host's network",
        ),
        (
            ingress("{from: [{podSelector: {matchLabels: {app: clinet}}}]}"),
            "spec.ingress[0].from[0]",
            "no pod in shop has these labels",
        ),
        (
            ingress("{ports: [{port: htpp}]}"),
            "spec.ingress[0].ports[0]",
            "no pod that the policy selects has a TCP port called 'htpp'",
        ),
        (
            ingress("{ports: [{port: http, protocol: UDP}]}"),
            "spec.ingress[0].ports[0]",
            "UDP port called 'http'",
        ),
        (
            egress("{to: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: web}]}"),
            "spec.egress[0].ports[0]",
            "no pod that it names",
        ),
    ],
)
def test_rules_that_can_never_match_are_named_with_their_place(
    document: str, path: str, words: str
) -> None:
    """Each with its file, document and field, and why."""
    (found,) = findings(document)

    assert Kind.NEVER_MATCHES is found.kind
    assert (f"mine.yaml, document 5, {path}",) == found.places
    assert words in found.reason


@pytest.mark.parametrize(
    "document",
    [
        egress("{to: [{ipBlock: {cidr: 0.0.0.0/0}}]}"),
        egress("{to: [{ipBlock: {cidr: 10.0.0.0/8}}]}"),
        egress("{to: [{ipBlock: {cidr: 172.18.0.0/24}}], ports: [{port: 6443}]}"),
        egress("{to: [{ipBlock: {cidr: 172.18.0.0/24}}], ports: [{port: 9100}]}"),
        egress("{to: [{ipBlock: {cidr: 172.18.0.0/24}}], ports: [{port: 8080}, {port: 30086}]}"),
        egress("{to: [{ipBlock: {cidr: 172.18.0.0/24}}]}"),
        egress("{to: [{ipBlock: {cidr: 172.18.0.0/24}}], ports: [{port: web}]}"),
        egress("{to: [{namespaceSelector: {matchLabels: {team: dns}}}]}"),
        ingress("{from: [{podSelector: {matchLabels: {app: client}}}], ports: [{port: http}]}"),
        ingress("{from: [{ipBlock: {cidr: 2001:db8::/64}}]}"),
    ],
)
def test_rules_that_may_match_are_left_alone(document: str) -> None:
    """Also where what they name is not among the manifests: it may exist all the same."""
    assert [] == findings(document)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (ingress("{}", "app: webb"), "none of the 3 pods in shop has these labels"),
        (ingress("{}", "app: host"), "in the host's network"),
        (
            policy("p", "{podSelector: {}, policyTypes: [Ingress]}", namespace="empty"),
            "no pod in the namespace empty",
        ),
    ],
)
def test_policies_that_select_nothing_are_named(document: str, words: str) -> None:
    """With the reason, and the place of the selector."""
    (found,) = findings(document)

    assert Kind.SELECTS_NOTHING is found.kind
    assert words in found.reason
    assert found.places[0].endswith("spec.podSelector")


def test_a_place_inside_a_list_is_found_again() -> None:
    """Lists are what kubectl prints: the field's path starts at the item."""
    inside = policy("p", "{podSelector: {matchLabels: {app: none}}}")
    listed = f"{{apiVersion: v1, kind: List, items: [{inside}]}}"
    made = manifests(WEB, listed)

    (found,) = read_rules(made, plan_network(made.scenario))
    assert ("mine.yaml, document 2, items[0].spec.podSelector",) == found.places
