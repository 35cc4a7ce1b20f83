"""Which rule might help: candidates made from what a hook saw, and nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

import pytest
from support.naive import MatchingRules, Question, Seen, judge

from nodeport_lab.advice import NAME, Candidate, candidates, manifest
from nodeport_lab.cells import Cell, as_client, enumerate_cells, host_clients
from nodeport_lab.manifests import read_objects
from nodeport_lab.manifests.policies import read_policy
from nodeport_lab.model import (
    Action,
    Client,
    ClientKind,
    ContainerPort,
    Decision,
    Direction,
    IPBlock,
    LabelSelector,
    Namespace,
    Node,
    Pod,
    PodPeer,
    PolicyPort,
    Protocol,
    Scenario,
    Service,
    ServicePort,
)
from nodeport_lab.testbeds.embedded.addressing import plan_network

SERVES = (("app", "web"), ("tier", "front"))
SERVER = Pod("red", "web-0", "w1", SERVES, (ContainerPort(8080),), workload="web")
CALLER = Pod("red", "caller", "w2", (("app", "caller"),), workload="caller")
NODES = (Node("cp", control_plane=True), Node("w1"), Node("w2"))
WEB = Service("red", "web", SERVES[:1], (ServicePort(80, 8080, node_port=30080),), "NodePort")
NAMESPACES = tuple(
    Namespace(name, (("kubernetes.io/metadata.name", name),)) for name in ("red", "blue")
)
SCENARIO = Scenario("test", NODES, NAMESPACES, (SERVER, CALLER), (WEB,), ())
NETWORK = plan_network(SCENARIO, tunnel=True)
NODE_1, NODE_2 = NETWORK.nodes["w1"], NETWORK.nodes["w2"]


def cell(client: Client, scenario: Scenario = SCENARIO) -> Cell:
    """The first cell of a client."""
    return enumerate_cells(scenario, NETWORK, [client])[0]


def denied(direction: Direction, source: str, destination: str) -> Decision:
    """A denial by nothing in particular."""
    return Decision(
        direction, "w1", "hook", source, destination, "fence", "default-deny", Action.DENY
    )


LEAVING = denied(Direction.EGRESS, f"{NETWORK.pods['red/caller']}:40000", f"{NODE_1}:30080")
ENTERING = denied(Direction.INGRESS, f"{NODE_2}:40000", f"{NETWORK.pods['red/web-0']}:8080")


def found(
    decision: Decision, client: Client | None = None, scenario: Scenario = SCENARIO
) -> list[Candidate]:
    """Every candidate for a denied decision."""
    asked = cell(client or as_client(CALLER), scenario)
    return list(candidates(decision, asked, scenario, plan_network(scenario, tunnel=True)))


def peers(some: list[Candidate]) -> list[tuple[IPBlock | PodPeer, ...]]:
    """The peers of each candidate's one rule."""
    return [rule.peers for one in some for rule in (*one.policy.ingress, *one.policy.egress)]


def test_candidates_for_a_way_out_name_the_server_and_what_was_dialled() -> None:
    """By label, by the nodes' range, by tunnel addresses, by the address that the hook saw."""
    tunnels = tuple(IPBlock(IPv4Network(address)) for address in NETWORK.tunnels.values())

    assert [
        (PodPeer(LabelSelector(SERVES)),),
        (IPBlock(NETWORK.node_cidr),),
        tunnels,
        (IPBlock(IPv4Network(f"{NODE_1}/32")),),
    ] == peers(found(LEAVING))[::2]


def test_candidates_for_a_way_in_name_the_client_and_what_it_came_as() -> None:
    """A masqueraded client is tried by its label, and by the address that it took on."""
    assert [
        (PodPeer(LabelSelector(CALLER.labels)),),
        (IPBlock(IPv4Network(f"{NODE_2}/32")),),
    ] == [peers(found(ENTERING))[number] for number in (0, -1)]


def test_each_candidate_comes_with_the_port_first_and_then_without() -> None:
    """Narrow ones first; the port is the one that the hook saw, not the one that was dialled."""
    rules = [rule for one in found(ENTERING) for rule in one.policy.ingress]

    assert [(PolicyPort(Protocol.TCP, 8080),), ()] * 4 == [rule.ports for rule in rules]
    assert [(PolicyPort(Protocol.TCP, 30080),), ()] * 4 == [
        rule.ports for one in found(LEAVING) for rule in one.policy.egress
    ]


@pytest.mark.parametrize(
    ("decision", "selected"), [(LEAVING, CALLER), (ENTERING, SERVER)], ids=["egress", "ingress"]
)
def test_a_candidate_selects_the_pod_at_whose_door_it_was_denied(
    decision: Decision, selected: Pod
) -> None:
    """In its namespace, by its labels, in the direction of the denial and no other."""
    for one in found(decision):
        policy = one.policy
        assert (selected.namespace, NAME) == (policy.namespace, policy.name)
        assert LabelSelector(selected.labels) == policy.pod_selector
        assert frozenset({decision.direction}) == policy.directions
        assert 1 == len(policy.rules(decision.direction))
        assert 1 == len((*policy.ingress, *policy.egress))
        assert one.words.startswith(f"{decision.direction}: ")


def test_no_two_candidates_are_the_same() -> None:
    """Neither in words nor as policies."""
    for some in (found(LEAVING), found(ENTERING)):
        assert 8 == len({one.words for one in some}) == len({one.policy for one in some})


def test_without_a_tunnel_no_tunnel_address_is_tried() -> None:
    """There is nothing that such a rule could name."""
    asked = cell(as_client(CALLER))
    routed = candidates(LEAVING, asked, SCENARIO, plan_network(SCENARIO))

    assert not any("tunnel" in one.words for one in routed)


@pytest.mark.parametrize(
    "client",
    [
        *host_clients(SCENARIO),
        Client("external", ClientKind.EXTERNAL),
        as_client(replace(CALLER, host_network=True)),
    ],
    ids=lambda client: client.kind.name,
)
def test_who_is_no_pod_of_its_own_is_not_tried_by_label(client: Client) -> None:
    """No selector finds a node's process, a host-network pod or a machine outside."""
    assert not any(
        isinstance(peer, PodPeer) for some in peers(found(ENTERING, client)) for peer in some
    )


def test_where_no_policy_could_select_the_pod_there_is_no_candidate() -> None:
    """An address at which no pod is known has no pod to write a policy for."""
    nowhere = replace(ENTERING, seen_destination="10.244.9.9:8080")

    assert [] == found(nowhere)


def test_a_pod_of_another_namespace_is_named_with_its_namespace() -> None:
    """A selector without one looks in the policy's own namespace only."""
    stranger = replace(CALLER, namespace="blue")
    scenario = replace(SCENARIO, pods=(SERVER, stranger))

    assert (
        PodPeer(
            LabelSelector(CALLER.labels),
            LabelSelector((("kubernetes.io/metadata.name", "blue"),)),
        )
        == peers(found(ENTERING, as_client(stranger), scenario))[0][0]
    )


@pytest.mark.parametrize("decision", [LEAVING, ENTERING], ids=["egress", "ingress"])
@pytest.mark.parametrize("namespace", ["red", "blue"])
def test_a_manifest_is_what_kubernetes_accepts_and_means_the_same(
    decision: Decision, namespace: str
) -> None:
    """Read back through the manifests' own checks it is the policy that was tried."""
    caller = replace(CALLER, namespace=namespace)
    scenario = replace(SCENARIO, pods=(SERVER, caller))
    for one in found(decision, as_client(caller), scenario):
        (read,) = read_objects(json.dumps(manifest(one.policy)), "candidate.yaml")
        assert one.policy == read_policy(read)


@pytest.mark.parametrize(
    ("decision", "pod"), [(LEAVING, CALLER), (ENTERING, SERVER)], ids=["egress", "ingress"]
)
def test_a_candidate_by_address_allows_what_was_denied(decision: Decision, pod: Pod) -> None:
    """To an engine that takes addresses literally, the address alone always matches."""
    source, source_port = decision.seen_source.split(":")
    destination, port = decision.seen_destination.split(":")
    seen = Seen(
        IPv4Address(source),
        int(source_port),
        IPv4Address(destination),
        int(port),
        Protocol.TCP,
    )

    for one in found(decision)[-2:]:
        question = Question(SCENARIO, NETWORK, [one.policy], decision.direction, pod, seen)
        party = MatchingRules(identities=False).party(SCENARIO, NETWORK, question.peer)
        assert Action.ALLOW is judge(question, party).action
