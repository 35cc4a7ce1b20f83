"""Remedies: what a stage asks, and how its answers are put together."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nodeport_lab.experiment import questions_of, suite_scenario
from nodeport_lab.model import (
    Action,
    Decision,
    Direction,
    Observation,
    Protocol,
    Relation,
    Run,
    Verdict,
)
from nodeport_lab.remedies import REMEDIES, Remedy
from nodeport_lab.report.remedies import (
    outcome_values,
    remedy_table,
    source_values,
    sources_table,
    staged,
)
from nodeport_lab.suites import SUITES, find_suites

EVERY_REMEDY = pytest.mark.parametrize("remedy", REMEDIES.values(), ids=REMEDIES)


def cell(client: str, node: str, relation: Relation, verdict: Verdict) -> Observation:
    """A connection to the NodePort of a node, under the policy of servers by label."""
    return Observation(
        policy="podselector-server",
        direction=Direction.EGRESS,
        namespace="nodeport-lab",
        client=client,
        client_node={"client-a": "dev-worker"}.get(client, "dev-worker2"),
        server="hello",
        service="hello",
        protocol=Protocol.TCP,
        port=30080,
        route="nodeport",
        dialled_node=node,
        backend_node="dev-worker",
        relation=relation,
        verdict=verdict,
        control=Verdict.ALLOWED,
    )


def before(dataplane: str, own: Verdict, third: Verdict, other_pods: Verdict) -> Run:
    """The first stage of the remedy ClusterIP on a dataplane: two pods, three connections."""
    return Run(
        testbed="embedded",
        dataplane=dataplane,
        options={},
        basis="emulated",
        versions={},
        observations=(
            cell("client-a", "dev-worker", Relation.OWN_NODE, own),
            cell("client-a", "dev-worker3", Relation.THIRD_NODE, third),
            cell("client-b", "dev-worker3", Relation.THIRD_NODE, other_pods),
        ),
        suite="remedy-cluster-ip-before",
    )


@EVERY_REMEDY
def test_a_remedy_starts_with_what_failed_and_every_stage_is_a_suite(remedy: Remedy) -> None:
    """Stages have distinct names; their suites come as one group, in their order."""
    names = [stage.name for stage in remedy.stages]

    assert len(names) == len(set(names)) > 1
    assert [remedy.suite(stage) for stage in remedy.stages] == [
        suite.name for suite in find_suites(f"remedy-{remedy.name}")
    ]


@EVERY_REMEDY
def test_what_a_stage_dials_is_there(remedy: Remedy) -> None:
    """Its routes exist for its Services, and someone calls."""
    for stage in remedy.stages:
        suite = SUITES[remedy.suite(stage)]
        assert suite.callers(suite_scenario(suite))
        assert stage.policies == suite.policies
        assert stage.routes == suite.routes


def test_all_remedies_are_one_group() -> None:
    """`remedies` runs the stages of each, on every dataplane."""
    asked = {question.suite for question in questions_of("remedies")}

    assert {name for name in SUITES if name.startswith("remedy-")} == asked


def test_connections_with_the_same_answers_share_a_row() -> None:
    """A place is named only where it matters."""
    table = remedy_table(
        [
            before("calico-iptables", Verdict.ALLOWED, Verdict.TIMEOUT, Verdict.TIMEOUT),
            before("calico-ebpf", Verdict.ALLOWED, Verdict.ALLOWED, Verdict.ALLOWED),
        ]
    )

    assert ("policy", "who dials what", "calico-iptables", "calico-ebpf") == table.headings
    assert [
        ["podselector-server", "pod: own-node", "✓ allowed", "✓ allowed"],
        ["podselector-server", "pod: third-node", "✗ timeout", "✓ allowed"],
    ] == [[one.words for one in cells] for _, cells in table.rows]


def test_a_place_that_answers_otherwise_has_a_row_of_its_own() -> None:
    """The same way from two places, two answers."""
    table = remedy_table(
        [before("calico-iptables", Verdict.ALLOWED, Verdict.ALLOWED, Verdict.TIMEOUT)]
    )

    assert [
        ("pod: own-node\npod on the server's node: third-node", "✓ allowed"),
        ("pod on another node: third-node", "✗ timeout"),
    ] == [(cells[1].words, cells[2].words) for _, cells in table.rows]


def test_prose_takes_all_ways_of_a_client_together() -> None:
    """By stage, policy, client and dataplane; what disagrees is joined."""
    run = before("calico-iptables", Verdict.ALLOWED, Verdict.TIMEOUT, Verdict.TIMEOUT)

    assert {
        "before/podselector-server/pod/calico-iptables": "allowed or timeout"
    } == outcome_values([run])


def test_whose_address_arrives_is_told_without_policy() -> None:
    """What the server's policy saw, and what the server logged; nothing of denied cells."""
    run = before("calico-iptables", Verdict.ALLOWED, Verdict.TIMEOUT, Verdict.TIMEOUT)
    assert () == sources_table([run]).rows
    assert {} == source_values([run])

    (part,) = staged([run])
    pod = part.names.network.pods["nodeport-lab/client-a"]
    node = part.names.network.nodes["dev-worker"]
    door = Decision(
        Direction.INGRESS,
        "dev-worker",
        "filter FORWARD",
        f"{pod}:1024",
        "10.244.1.2:8080",
        None,
        "not-selected",
        Action.ALLOW,
    )
    open_ = [
        replace(one, policy="no-policy", decisions=(door,), application_source=f"{node}:1024")
        for one in run.observations[:1]
    ]
    table = sources_table([replace(run, observations=tuple(open_))])

    (row,) = table.rows
    assert ("pod: own-node", "client pod | client's node") == (row[1][0].words, row[1][1].words)
    assert {"seen/before/pod/calico-iptables": "client pod"} == source_values(
        [replace(run, observations=tuple(open_))]
    )
