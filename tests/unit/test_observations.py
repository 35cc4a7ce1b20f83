"""Observations leave as JSON and come back, in the form that the schema publishes."""

import json
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeport_lab import observations, schemas
from nodeport_lab.errors import LabError
from nodeport_lab.model import (
    Action,
    ClusterFacts,
    Decision,
    Direction,
    Network,
    Observation,
    Protocol,
    Relation,
    Run,
    Verdict,
)

DECISION = Decision(
    direction=Direction.EGRESS,
    node="node-1",
    hook="somewhere",
    seen_source="10.0.0.1:40000",
    seen_destination="10.0.0.2:8080",
    policy="some-policy",
    rule="egress[0].to[0]",
    action=Action.ALLOW,
)
OBSERVATION = Observation(
    policy="some-policy",
    direction=Direction.EGRESS,
    namespace="default",
    client="caller",
    client_node="node-1",
    server="callee",
    service="callee",
    protocol=Protocol.TCP,
    port=30000,
    route="nodeport",
    dialled_node="node-2",
    backend_node="node-2",
    relation=Relation.OTHER_NODE,
    verdict=Verdict.TIMEOUT,
    control=Verdict.ALLOWED,
    seen_source="10.0.0.1:40000",
    seen_destination="10.0.0.2:8080",
    hook="somewhere",
    rule="default-deny",
    decisions=(DECISION,),
    application_source=None,
    elapsed_ms=500.25,
    detail=None,
)
RUN = Run(
    "embedded", "some-dataplane", {"mode": "a"}, "emulated", {"kernel": "1.2"}, (OBSERVATION,)
)
NETWORK = Network(
    node_cidr=IPv4Network("10.0.0.0/24"),
    pod_cidr=IPv4Network("10.1.0.0/16"),
    service_cidr=IPv4Network("10.2.0.0/16"),
    nodes={"node-1": IPv4Address("10.0.0.1")},
    node_pod_cidrs={"node-1": IPv4Network("10.1.1.0/24")},
    pods={"default/caller": IPv4Address("10.1.1.2")},
    cluster_ips={"default/callee": IPv4Address("10.2.0.9")},
    tunnels={"node-1": IPv4Address("10.1.1.1")},
    load_balancers={"default/callee": IPv4Address("10.0.0.200")},
)
CLUSTER = ClusterFacts(
    nodes={"node-1": "ip-10-0-0-1.example"},
    network=NETWORK,
    detected={"kube-proxy mode": "iptables", "encapsulation": None},
    unknown={"encapsulation": "may not list ippools"},
    enforced_after_ms={"some-policy": 812.5, "another": None},
    canaries=("dev-worker: allowed without policy, timeout under one that denies",),
    left_out=("the cluster shows no node in the place of dev-control-plane",),
    other_policies=("GlobalNetworkPolicy lockdown",),
    evidence={"some-policy": ("on dev-worker egress rule 1 of some-policy met 3 packets",)},
)
RECORDED = replace(RUN, testbed="kind", date="2026-11-23T10:15:00Z", cluster=CLUSTER)
"""What a record holds beyond a run of the embedded testbed."""

RUN_FIELDS = {"testbed", "dataplane", "options", "versions", "observations", "basis"}
OBSERVATION_FIELDS = {
    *("policy", "direction", "namespace", "client", "client_node", "server", "service"),
    *("protocol", "port", "route", "dialled_node", "backend_node", "relation", "verdict"),
    *("seen_source", "seen_destination", "hook", "rule", "decisions", "elapsed_ms"),
    *("control", "application_source", "detail"),
}
DECISION_FIELDS = {
    *("direction", "node", "hook", "seen_source", "seen_destination", "policy", "rule", "action"),
}

names = st.text("abc-", min_size=1, max_size=8)
addresses = st.builds(
    "{}:{}".format, st.ip_addresses(v=4), st.integers(min_value=1, max_value=65535)
)
decisions = st.builds(
    Decision,
    direction=st.sampled_from(Direction),
    node=names,
    hook=names,
    seen_source=addresses,
    seen_destination=addresses,
    policy=st.none() | names,
    rule=names,
    action=st.sampled_from(Action),
)
cells = st.builds(
    replace,
    st.sampled_from(
        [
            OBSERVATION,
            replace(OBSERVATION, route="pod-ip", dialled_node=None, relation=None, service=None),
        ]
    ),
    protocol=st.sampled_from(Protocol),
    verdict=st.sampled_from(Verdict),
    control=st.sampled_from(Verdict),
    seen_source=st.none() | addresses,
    seen_destination=st.none() | addresses,
    decisions=st.lists(decisions, max_size=2).map(tuple),
    elapsed_ms=st.floats(min_value=0, max_value=1e6),
    detail=st.none() | st.text(),
)
runs = st.builds(
    Run,
    testbed=st.sampled_from(["embedded", "kind", "live"]),
    dataplane=names,
    options=st.dictionaries(names, names, max_size=2),
    basis=st.sampled_from(["emulated", "modelled", "live"]),
    versions=st.dictionaries(names, names, max_size=2),
    observations=st.lists(cells, max_size=3).map(tuple),
    date=st.none() | st.just("2026-11-23T10:15:00Z"),
    cluster=st.none() | st.sampled_from([CLUSTER, ClusterFacts(nodes={})]),
)


def document(**changes: object) -> Any:  # noqa: ANN401  # a document to spoil
    """A document of one run, whose first observation has the given fields changed."""
    written = json.loads(json.dumps(observations.to_json([RUN])))
    written["runs"][0]["observations"][0] |= changes
    return written


@given(st.lists(runs, max_size=2).map(tuple))
def test_runs_come_back_as_they_left(made: tuple[Run, ...]) -> None:
    """Whatever is written can be read again, through text, without loss."""
    text = json.dumps(observations.to_json(made))

    assert made == observations.from_json(json.loads(text))


@given(st.lists(runs, max_size=2))
def test_what_is_written_follows_the_published_schema(made: list[Run]) -> None:
    """An independent validator accepts what is written."""
    written = json.loads(json.dumps(observations.to_json(made)))

    jsonschema.validate(written, schemas.load("observations"))


def test_the_schema_is_a_schema() -> None:
    """The published schema is itself valid for the draft that it names."""
    jsonschema.Draft202012Validator.check_schema(schemas.load("observations"))


def test_the_field_names_are_those_of_schema_1() -> None:
    """Names are a promise: schema 1 never loses or renames a field."""
    (run,) = document()["runs"]
    (observation,) = run["observations"]
    (decision,) = observation["decisions"]

    assert observations.SCHEMA == document()["schema"] == 1
    assert run.keys() >= RUN_FIELDS
    assert observation.keys() >= OBSERVATION_FIELDS
    assert decision.keys() >= DECISION_FIELDS


def test_the_schema_describes_every_field_that_is_written() -> None:
    """A field that is added to the model is added to the published schema as well."""
    definitions = schemas.load("observations")["$defs"]
    (run,) = observations.to_json([RECORDED])["runs"]
    (observation,) = run["observations"]

    assert definitions["run"]["properties"].keys() == run.keys()
    assert definitions["cluster"]["properties"].keys() == run["cluster"].keys()
    assert definitions["network"]["properties"].keys() == run["cluster"]["network"].keys()
    assert definitions["observation"]["properties"].keys() == observation.keys()
    assert definitions["decision"]["properties"].keys() == observation["decisions"][0].keys()


def test_what_only_records_have_is_left_out_elsewhere() -> None:
    """A run without date and cluster is written as it was before there were records."""
    (run,) = document()["runs"]

    assert run.keys() == RUN_FIELDS | {"suite"}


def test_an_address_that_is_none_is_refused() -> None:
    """What looks like an address and is none is one error, as any other fault."""
    written = observations.to_json([RECORDED])
    written["runs"][0]["cluster"]["network"]["nodes"]["node-1"] = "10.0.0.999"

    with pytest.raises(LabError, match=r"do not follow schema 1: .*10\.0\.0\.999"):
        observations.from_json(written)


def test_fields_of_later_versions_are_ignored() -> None:
    """A reader takes what it knows from a document that says more."""
    written = document(weather="fine")
    written["made_by"] = "a later version"
    written["runs"][0]["mood"] = {"deep": ["down"]}
    written["runs"][0]["observations"][0]["decisions"][0]["colour"] = 7

    assert observations.from_json(written) == (RUN,)


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"verdict": "denied"}, "runs[0].observations[0].verdict: 'denied' is not one of"),
        ({"relation": "far-node"}, "runs[0].observations[0].relation"),
        ({"port": 70000}, "runs[0].observations[0].port"),
        ({"route": "teleport"}, "runs[0].observations[0].route"),
        ({"seen_source": "nowhere"}, "runs[0].observations[0].seen_source"),
        ({"elapsed_ms": -1}, "runs[0].observations[0].elapsed_ms"),
        ({"dialled_node": None}, "runs[0].observations[0].dialled_node"),
        ({"decisions": [{}]}, "runs[0].observations[0].decisions[0]"),
        ({"client": ""}, "runs[0].observations[0].client"),
    ],
)
def test_a_fault_is_named_with_its_place(changes: dict[str, object], place: str) -> None:
    """What does not follow the schema is one error that says where it is."""
    with pytest.raises(LabError) as caught:
        observations.from_json(document(**changes))

    assert place in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_cluster_ip_has_no_dialled_node() -> None:
    """A route without a node cannot claim one."""
    with pytest.raises(LabError, match=r"observations\[0\]\.(dialled_node|relation)"):
        observations.from_json(document(route="cluster-ip"))


def test_a_missing_field_is_named() -> None:
    """A document without a field of schema 1 is refused."""
    written = document()
    del written["runs"][0]["basis"]

    with pytest.raises(LabError, match=r"runs\[0\]: 'basis' is a required property"):
        observations.from_json(written)


@pytest.mark.parametrize("nonsense", [None, [], "runs", {}, {"schema": "1", "runs": []}])
def test_what_is_no_document_at_all_is_refused(nonsense: object) -> None:
    """Anything may stand in a file."""
    with pytest.raises(LabError, match="do not follow schema 1"):
        observations.from_json(nonsense)


def test_another_schema_is_refused_by_its_number() -> None:
    """A document of a schema that this version does not know says so, and what to do."""
    with pytest.raises(LabError, match=r"follow schema 2, .* reads schema 1; use the version"):
        observations.from_json(document() | {"schema": 2})
