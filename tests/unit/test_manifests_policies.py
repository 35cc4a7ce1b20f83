"""NetworkPolicies: the API's defaults, and nothing lost on the way to the model."""

import json
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from nodeport_lab.errors import ManifestError
from nodeport_lab.manifests import build_scenario, read_cluster, read_objects
from nodeport_lab.model import (
    Direction,
    IPBlock,
    LabelSelector,
    NetworkPolicy,
    Operator,
    PodPeer,
    PolicyPort,
    PolicyRule,
    Protocol,
    Requirement,
)

CLUSTER = """
apiVersion: kind.x-k8s.io/v1alpha4
kind: Cluster
nodes: [{role: control-plane}, {role: worker}]
"""


def read(text: str) -> NetworkPolicy:
    """The only policy of a text."""
    cluster = read_cluster(CLUSTER, "dev.yaml")
    (policy,) = build_scenario(cluster, read_objects(text, "x.yaml")).policies
    return policy


def policy(spec: str) -> NetworkPolicy:
    """A policy with this spec."""
    return read(f"""
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {{name: p}}
    spec: {spec}
    """)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("{}", {"ingress"}),
        ("~", {"ingress"}),
        ("{egress: []}", {"ingress"}),
        ("{egress: ~}", {"ingress"}),
        ("{policyTypes: []}", {"ingress"}),
        ("{egress: [{}]}", {"ingress", "egress"}),
        ("{ingress: [{}]}", {"ingress"}),
        ("{policyTypes: [], egress: [{}]}", {"ingress", "egress"}),
        ("{policyTypes: [Egress]}", {"egress"}),
        ("{policyTypes: [Egress, Ingress]}", {"ingress", "egress"}),
        ("{policyTypes: [Ingress], egress: [{}]}", {"ingress"}),
        ("{policyTypes: [Egress], ingress: [{}]}", {"egress"}),
    ],
)
def test_policy_types_default_as_in_the_api(spec: str, expected: set[str]) -> None:
    """Without policyTypes a policy is for ingress, and for egress if it has egress rules."""
    assert expected == set(policy(spec).directions)


def test_missing_and_empty_parts_of_a_policy() -> None:
    """What is left out selects everything; a rule without peers or ports allows any."""
    expected = NetworkPolicy(
        namespace="default",
        name="p",
        pod_selector=LabelSelector(),
        directions=frozenset(Direction),
        ingress=(PolicyRule(), PolicyRule(ports=(PolicyPort(),))),
        egress=(PolicyRule(), PolicyRule()),
    )
    spec = "{ingress: [{}, {ports: [{}]}], egress: [{to: ~, ports: ~}, {to: [], ports: []}]}"
    assert expected == policy(spec)


def test_an_empty_selector_is_not_a_missing_one() -> None:
    """In a peer an empty selector selects all, and a missing one leaves the axis alone."""
    found = policy("""
      {egress: [{to: [{podSelector: {}}, {namespaceSelector: {}},
                      {podSelector: {}, namespaceSelector: {}}]}]}""")
    every = LabelSelector()
    assert (PodPeer(every, None), PodPeer(None, every), PodPeer(every, every)) == (
        found.egress[0].peers
    )


# --- round trip -----------------------------------------------------------------------------

NAMES = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,8}[a-z0-9])?", fullmatch=True)
LABEL_TEXT = st.from_regex(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,8}[A-Za-z0-9])?", fullmatch=True)
KEYS = LABEL_TEXT | st.builds("{}/{}".format, NAMES, LABEL_TEXT)
VALUES = LABEL_TEXT | st.just("")
LABELS = st.dictionaries(KEYS, VALUES, max_size=3).map(lambda d: tuple(sorted(d.items())))
PORTS = st.integers(1, 65535)
REQUIREMENTS = st.builds(
    Requirement,
    KEYS,
    st.sampled_from([Operator.IN, Operator.NOT_IN]),
    st.lists(VALUES, min_size=1, max_size=3).map(tuple),
) | st.builds(Requirement, KEYS, st.sampled_from([Operator.EXISTS, Operator.DOES_NOT_EXIST]))
SELECTORS = st.builds(LabelSelector, LABELS, st.lists(REQUIREMENTS, max_size=2).map(tuple))


@st.composite
def ip_blocks(draw: st.DrawFn) -> IPBlock:
    """A range of either family with exceptions inside it."""
    bits = draw(st.sampled_from([32, 128]))
    first = 10 << 24 if bits == 32 else 0xFD << 120

    def network(base: int, prefix: int) -> IPv4Network | IPv6Network:
        address = IPv4Network(base) if bits == 32 else IPv6Network(base)
        return ip_network(f"{address.network_address}/{prefix}", strict=False)

    prefix = draw(st.integers(8, bits - 1))
    cidr = network(first + draw(st.integers(0, 2**24 - 1)), prefix)
    inside = st.integers(0, cidr.num_addresses - 1).map(
        lambda offset: int(cidr.network_address) + offset
    )
    exceptions = draw(
        st.lists(st.builds(network, inside, st.integers(prefix + 1, bits)), max_size=2)
    )
    return IPBlock(cidr, tuple(exceptions))


@st.composite
def port_clauses(draw: st.DrawFn) -> PolicyPort:
    """Any protocol with no port, a name, a number or a range."""
    protocol = draw(st.sampled_from(Protocol))
    port = draw(st.none() | st.sampled_from(["http", "a-1", "1a"]) | PORTS)
    end = draw(st.none() | st.integers(port, 65535)) if isinstance(port, int) else None
    return PolicyPort(protocol, port, end)


PEERS = (
    ip_blocks()
    | st.builds(PodPeer, SELECTORS, st.none() | SELECTORS)
    | st.builds(PodPeer, st.none(), SELECTORS)
)
RULES = st.builds(
    PolicyRule,
    st.lists(PEERS, max_size=3).map(tuple),
    st.lists(port_clauses(), max_size=3).map(tuple),
)
POLICIES = st.builds(
    NetworkPolicy,
    namespace=st.just("default"),
    name=NAMES.filter(lambda name: name != "no-policy"),
    pod_selector=SELECTORS,
    directions=st.sets(st.sampled_from(Direction), min_size=1).map(frozenset),
    ingress=st.lists(RULES, max_size=2).map(tuple),
    egress=st.lists(RULES, max_size=2).map(tuple),
)


def selector_manifest(selector: LabelSelector) -> dict[str, Any]:
    """A selector as Kubernetes writes it."""
    expressions = [
        {"key": one.key, "operator": str(one.operator), "values": list(one.values)}
        for one in selector.match_expressions
    ]
    return {"matchLabels": dict(selector.match_labels), "matchExpressions": expressions}


def peer_manifest(peer: IPBlock | PodPeer) -> dict[str, Any]:
    """A peer as Kubernetes writes it."""
    if isinstance(peer, IPBlock):
        return {"ipBlock": {"cidr": str(peer.cidr), "except": [str(one) for one in peer.except_]}}
    selectors = {"podSelector": peer.pod_selector, "namespaceSelector": peer.namespace_selector}
    return {name: selector_manifest(one) for name, one in selectors.items() if one is not None}


def rule_manifest(rule: PolicyRule, peers: str) -> dict[str, Any]:
    """A rule as Kubernetes writes it."""
    clauses = [
        {"protocol": str(clause.protocol), "port": clause.port, "endPort": clause.end_port}
        for clause in rule.ports
    ]
    return {peers: [peer_manifest(peer) for peer in rule.peers], "ports": clauses}


def manifest(written: NetworkPolicy) -> dict[str, Any]:
    """A policy as Kubernetes writes it."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": written.name},
        "spec": {
            "podSelector": selector_manifest(written.pod_selector),
            "policyTypes": [direction.capitalize() for direction in sorted(written.directions)],
            "ingress": [rule_manifest(rule, "from") for rule in written.ingress],
            "egress": [rule_manifest(rule, "to") for rule in written.egress],
        },
    }


class QuotingDumper(yaml.SafeDumper):
    """Quotes all text: PyYAML leaves some bare that Kubernetes takes for a number (08)."""


QuotingDumper.add_representer(
    str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')
)


@given(POLICIES)
def test_a_policy_survives_the_way_through_yaml(written: NetworkPolicy) -> None:
    """Whatever a policy says arrives in the model unchanged."""
    assert written == read(yaml.dump(manifest(written), Dumper=QuotingDumper))


@given(POLICIES)
def test_a_policy_in_json_is_the_same_policy(written: NetworkPolicy) -> None:
    """A List in JSON, as `kubectl get -o json` prints it, reads like the YAML."""
    listed = {"apiVersion": "v1", "kind": "List", "items": [manifest(written)]}
    assert written == read(json.dumps(listed, indent=4))


# --- no input crashes -------------------------------------------------------------------------

WORDS = """
    kind apiVersion metadata name spec ingress egress to from ports podSelector matchLabels
    matchExpressions key operator values ipBlock cidr except port endPort protocol containers
    selector template replicas nodeName nodePort targetPort clusterIP v1 Pod List items
"""
SCRAPS = st.sampled_from(WORDS.split())
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | SCRAPS
    | st.sampled_from(["10.0.0.0/8", "Exists", "In", "TCP", "Egress"])
)  # fmt: skip
ANYTHING = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SCRAPS, inner, max_size=4)
)


def survives(text: str | bytes) -> None:
    """Read a text; only a ManifestError of one line may come of it."""
    try:
        build_scenario(read_cluster(CLUSTER, "dev.yaml"), read_objects(text, "x.yaml"))
    except ManifestError as error:
        assert "x.yaml" in str(error)  # noqa: PT017 - most inputs raise nothing to wait for


@given(st.binary(max_size=200))
def test_no_bytes_crash_the_reader(data: bytes) -> None:
    """Any bytes are a scenario or one clear error."""
    survives(data)


@given(st.lists(SCRAPS | st.sampled_from(list("{}[]:,-&*!|>'\"#\n ?")), max_size=40).map("".join))
def test_no_scraps_of_yaml_crash_the_reader(text: str) -> None:
    """Broken YAML is one clear error."""
    survives(text)


@given(
    st.sampled_from(["Namespace", "Pod", "Deployment", "Service", "NetworkPolicy"]),
    st.dictionaries(SCRAPS, ANYTHING, max_size=4),
)
def test_no_values_crash_the_reader(kind: str, fields: dict[str, Any]) -> None:
    """Any values in any fields are an object or one clear error."""
    versions = {"Deployment": "apps/v1", "NetworkPolicy": "networking.k8s.io/v1"}
    head = {"apiVersion": versions.get(kind, "v1"), "kind": kind, "metadata": {"name": "x"}}
    survives(yaml.safe_dump({**head, "spec": fields}))


@given(POLICIES, st.data())
def test_no_change_of_a_policy_crashes_the_reader(
    written: NetworkPolicy, data: st.DataObject
) -> None:
    """A good policy with any one value replaced is still a policy or one clear error."""
    document = manifest(written)
    places: list[tuple[Any, Any]] = []
    waiting: list[Any] = [document["spec"]]
    while waiting:
        holder = waiting.pop()
        keys = range(len(holder)) if isinstance(holder, list) else list(holder)
        for key in keys:
            places.append((holder, key))
            if isinstance(holder[key], list | dict):
                waiting.append(holder[key])
    holder, key = data.draw(st.sampled_from(places))
    holder[key] = data.draw(ANYTHING)
    survives(yaml.safe_dump(document))
