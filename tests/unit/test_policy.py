"""What NetworkPolicy v1 means, by example and against an independent evaluator."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Network

import hypothesis
import pytest
from hypothesis import given
from support.naive import (
    NOT_SELECTED,
    Judgement,
    MatchingRules,
    Party,
    Question,
    Seen,
    judge,
)
from support.strategies import World, worlds

from nodeport_lab.model import (
    Action,
    ContainerPort,
    Direction,
    IPBlock,
    LabelSelector,
    Namespace,
    NetworkPolicy,
    Node,
    Operator,
    Pod,
    PodPeer,
    PolicyPort,
    PolicyRule,
    Protocol,
    Requirement,
    Scenario,
)
from nodeport_lab.policy import (
    Clause,
    clauses,
    named_ports,
    policies_selecting,
    selector_matches,
)
from nodeport_lab.testbeds.embedded.addressing import plan_network

EVERYTHING = LabelSelector()
EGRESS, INGRESS = Direction.EGRESS, Direction.INGRESS


def labelled(**labels: str) -> LabelSelector:
    """A selector by matchLabels."""
    return LabelSelector(tuple(labels.items()))


def required(key: str, operator: Operator, *values: str) -> LabelSelector:
    """A selector by one entry of matchExpressions."""
    return LabelSelector((), (Requirement(key, operator, values),))


WEB = Pod(
    "red",
    "web",
    "n1",
    (("app", "web"), ("tier", "front")),
    (ContainerPort(8080, name="http"), ContainerPort(53, Protocol.UDP, "dns")),
)
CLIENT = Pod("red", "client", "n1", (("app", "client"),))
DATABASE = Pod("blue", "db", "n2", (("app", "db"),), (ContainerPort(8081, name="http"),))
AGENT = Pod(
    "red",
    "agent",
    "n1",
    (("app", "web"),),
    (ContainerPort(7070, name="http"),),
    host_network=True,
)
SCENARIO = Scenario(
    cluster="test",
    nodes=(Node("n1"), Node("n2")),
    namespaces=(
        Namespace("red", (("kubernetes.io/metadata.name", "red"), ("team", "x"))),
        Namespace("blue", (("kubernetes.io/metadata.name", "blue"), ("team", "y"))),
    ),
    pods=(WEB, CLIENT, DATABASE, AGENT),
    services=(),
    policies=(),
)


def policy(  # noqa: PLR0913 - a policy has this many parts
    name: str = "p",
    *,
    namespace: str = "red",
    selector: LabelSelector = EVERYTHING,
    directions: frozenset[Direction] = frozenset({EGRESS}),
    egress: tuple[PolicyRule, ...] = (),
    ingress: tuple[PolicyRule, ...] = (),
) -> NetworkPolicy:
    """A policy of namespace red that selects everything there for egress."""
    return NetworkPolicy(namespace, name, selector, directions, ingress, egress)


def only_clause(rule: PolicyRule) -> Clause:
    """What a policy with this one egress rule yields."""
    (clause,) = clauses(policy(egress=(rule,)), EGRESS, SCENARIO)
    return clause


def selected_by(peer: PodPeer) -> frozenset[str]:
    """Keys of the pods that a peer selects, in a policy of namespace red."""
    found = only_clause(PolicyRule((peer,))).peer
    assert isinstance(found, frozenset)
    return found


# --- label selectors ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("selector", "labels", "expected"),
    [
        (EVERYTHING, {}, True),
        (EVERYTHING, {"app": "web"}, True),
        (labelled(app="web"), {"app": "web", "tier": "front"}, True),
        (labelled(app="web"), {"app": "db"}, False),
        (labelled(app="web"), {}, False),
        (labelled(app="web", tier="front"), {"app": "web"}, False),
        (required("app", Operator.IN, "web", "db"), {"app": "db"}, True),
        (required("app", Operator.IN, "web", "db"), {"app": "client"}, False),
        (required("app", Operator.IN, "web"), {}, False),
        (required("app", Operator.NOT_IN, "web"), {"app": "db"}, True),
        (required("app", Operator.NOT_IN, "web"), {"app": "web"}, False),
        (required("app", Operator.NOT_IN, "web"), {"tier": "front"}, True),
        (required("app", Operator.EXISTS), {"app": "anything"}, True),
        (required("app", Operator.EXISTS), {"tier": "front"}, False),
        (required("app", Operator.DOES_NOT_EXIST), {"tier": "front"}, True),
        (required("app", Operator.DOES_NOT_EXIST), {"app": ""}, False),
        (
            LabelSelector((("app", "web"),), (Requirement("tier", Operator.EXISTS),)),
            {"app": "web"},
            False,
        ),
    ],
)
def test_a_selector_accepts_labels_that_meet_every_requirement(
    selector: LabelSelector, labels: dict[str, str], *, expected: bool
) -> None:
    """Labels to match and each of the four operators mean what Kubernetes says they mean."""
    assert expected is selector_matches(selector, labels)


# --- which policies apply -------------------------------------------------------------


def test_a_policy_isolates_only_in_the_directions_of_its_policy_types() -> None:
    """A policy of type Egress says nothing about ingress, even if it has ingress rules."""
    only_egress = policy(ingress=(PolicyRule(),))

    assert (only_egress,) == policies_selecting([only_egress], WEB, EGRESS)
    assert () == policies_selecting([only_egress], WEB, INGRESS)


def test_a_policy_selects_pods_of_its_own_namespace_only() -> None:
    """An empty podSelector means every pod of the policy's namespace."""
    everything_in_red = policy(namespace="red")

    selected = [
        pod.key for pod in SCENARIO.pods if policies_selecting([everything_in_red], pod, EGRESS)
    ]

    assert ["red/web", "red/client"] == selected


def test_a_host_network_pod_is_selected_by_no_policy() -> None:
    """A pod in the node's network has the node's identity, whatever its labels are."""
    assert () == policies_selecting([policy()], AGENT, EGRESS)


def test_policies_are_visited_by_name() -> None:
    """The order of evaluation does not depend on the order in which policies arrived."""
    one, two, three = policy("a"), policy("b"), policy("c")

    assert (one, two, three) == policies_selecting([three, one, two], WEB, EGRESS)


# --- what a rule allows ---------------------------------------------------------------


def test_a_direction_without_rules_allows_nothing() -> None:
    """A missing or empty list of rules is a default deny."""
    assert [] == list(clauses(policy(), EGRESS, SCENARIO))


def test_a_rule_without_peers_allows_any_peer() -> None:
    """A missing or empty `to` or `from` is no restriction."""
    assert Clause("egress[0]", None, ()) == only_clause(PolicyRule())


def test_rules_and_peers_are_alternatives_in_the_order_of_the_manifest() -> None:
    """Every peer of every rule is a clause of its own, with the rule's ports."""
    block = IPBlock(IPv4Network("172.18.0.0/24"))
    port = PolicyPort(port=8080)
    two_rules = policy(
        egress=(
            PolicyRule((block, PodPeer(labelled(app="web"))), (port,)),
            PolicyRule(),
        )
    )

    assert [
        Clause("egress[0].to[0]", block, (port,)),
        Clause("egress[0].to[1]", frozenset({"red/web"}), (port,)),
        Clause("egress[1]", None, ()),
    ] == list(clauses(two_rules, EGRESS, SCENARIO))


def test_ingress_rules_are_read_from_from() -> None:
    """Each direction has its own rules and its own word for the other side."""
    block = IPBlock(IPv4Network("172.18.0.0/24"))
    both = policy(
        directions=frozenset({EGRESS, INGRESS}),
        egress=(PolicyRule(),),
        ingress=(PolicyRule((block,)),),
    )

    assert [Clause("ingress[0].from[0]", block, ())] == list(clauses(both, INGRESS, SCENARIO))
    assert [Clause("egress[0]", None, ())] == list(clauses(both, EGRESS, SCENARIO))


# --- whom a peer selects --------------------------------------------------------------


def test_a_pod_selector_alone_looks_into_the_policys_own_namespace() -> None:
    """Pods with the right labels in other namespaces are not selected."""
    assert frozenset({"red/web"}) == selected_by(PodPeer(labelled(app="web")))
    assert frozenset() == selected_by(PodPeer(labelled(app="db")))


def test_an_empty_pod_selector_means_the_whole_namespace_of_the_policy() -> None:
    """`podSelector: {}` is not the whole cluster."""
    assert frozenset({"red/web", "red/client"}) == selected_by(PodPeer(EVERYTHING))


def test_a_namespace_selector_alone_means_every_pod_of_those_namespaces() -> None:
    """Namespaces are chosen by their labels, the one with their name included."""
    by_name = labelled(**{"kubernetes.io/metadata.name": "blue"})

    assert frozenset({"blue/db"}) == selected_by(PodPeer(None, by_name))


def test_an_empty_namespace_selector_means_every_namespace() -> None:
    """`namespaceSelector: {}` is the whole cluster, host-network pods aside."""
    assert frozenset({"red/web", "red/client", "blue/db"}) == selected_by(PodPeer(None, EVERYTHING))


def test_both_selectors_in_one_peer_must_hold_together() -> None:
    """The namespaceSelector says where to look, the podSelector what for."""
    team_x = labelled(team="x")

    assert frozenset({"red/web"}) == selected_by(PodPeer(labelled(app="web"), team_x))
    assert frozenset() == selected_by(PodPeer(labelled(app="db"), team_x))


def test_a_host_network_pod_is_no_peer_by_label() -> None:
    """No network plugin finds a pod behind an address that belongs to the node."""
    assert "red/agent" not in selected_by(PodPeer(labelled(app="web")))


# --- ports ----------------------------------------------------------------------------


def test_a_named_port_is_looked_up_on_each_pod() -> None:
    """The same name may be another number on another pod; protocols are kept apart."""
    assert {"red/web": 8080, "blue/db": 8081} == named_ports(SCENARIO, "http", Protocol.TCP)
    assert {} == named_ports(SCENARIO, "http", Protocol.UDP)
    assert {"red/web": 53} == named_ports(SCENARIO, "dns", Protocol.UDP)


# --- the whole, by example and against the naive evaluator ----------------------------


def decide(question: Question, party: Party) -> Judgement:
    """Answer with the lab's reading of the policies and a matcher of three lines."""
    selecting = policies_selecting(question.policies, question.pod, question.direction)
    if not selecting:
        return Judgement(Action.ALLOW, frozenset({NOT_SELECTED}))
    allowing = {
        (policy.name, clause.path)
        for policy in selecting
        for clause in clauses(policy, question.direction, question.scenario)
        if _peer_matches(clause, party) and _ports_match(clause, question)
    }
    if allowing:
        return Judgement(Action.ALLOW, frozenset(allowing))
    only = selecting[0].name if len(selecting) == 1 else None
    return Judgement(Action.DENY, frozenset({(only, "default-deny")}))


def _peer_matches(clause: Clause, party: Party) -> bool:
    match clause.peer:
        case None:
            return True
        case IPBlock(cidr, except_) if party.address is not None:
            return party.address in cidr and not any(party.address in out for out in except_)
        case frozenset() if party.pod is not None:
            return party.pod.key in clause.peer
    return False


def _ports_match(clause: Clause, question: Question) -> bool:
    return not clause.ports or any(_port_matches(port, question) for port in clause.ports)


def _port_matches(port: PolicyPort, question: Question) -> bool:
    seen = question.seen
    if port.protocol is not seen.protocol:
        return False
    match port.port:
        case None:
            return True
        case str(name):
            named = named_ports(question.scenario, name, port.protocol).items()
            return (seen.destination, seen.destination_port) in [
                (question.network.pods[key], number) for key, number in named
            ]
        case number:
            return number <= seen.destination_port <= (port.end_port or number)


NETWORK = plan_network(SCENARIO)
ADDRESS = {name.split("/")[1]: address for name, address in NETWORK.pods.items()}
NODE_2 = NETWORK.nodes["n2"]
NODES = IPBlock(NETWORK.node_cidr)
ALLOW, DENY = Action.ALLOW, Action.DENY


def allowing(*peers: IPBlock | PodPeer, ports: tuple[PolicyPort, ...] = ()) -> NetworkPolicy:
    """A policy that isolates everything in red and allows this much in both directions."""
    rules = (PolicyRule(peers, ports),)
    return policy(directions=frozenset({EGRESS, INGRESS}), egress=rules, ingress=rules)


NOTHING = policy("nothing", directions=frozenset(Direction))


@pytest.mark.parametrize(
    ("policies", "address", "port", "expected"),
    [
        pytest.param([], NODE_2, 80, ALLOW, id="no policy"),
        pytest.param([policy(namespace="blue")], NODE_2, 80, ALLOW, id="not selected"),
        pytest.param([NOTHING], NODE_2, 80, DENY, id="default deny"),
        pytest.param([allowing()], NODE_2, 80, ALLOW, id="rule without peers"),
        pytest.param([NOTHING, allowing()], NODE_2, 80, ALLOW, id="union"),
        pytest.param([allowing(NODES)], NODE_2, 80, ALLOW, id="ipBlock"),
        pytest.param([allowing(NODES)], ADDRESS["web"], 80, DENY, id="outside the ipBlock"),
        pytest.param(
            [allowing(IPBlock(NETWORK.node_cidr, (IPv4Network(NODE_2),)))],
            NODE_2,
            80,
            DENY,
            id="except",
        ),
        pytest.param(
            [allowing(IPBlock(NETWORK.node_cidr, (IPv4Network(NODE_2),)), NODES)],
            NODE_2,
            80,
            ALLOW,
            id="except holds for its own block only",
        ),
        pytest.param([allowing(IPBlock(IPv6Network("::/0")))], NODE_2, 80, DENY, id="IPv6 block"),
        pytest.param(
            [allowing(PodPeer(labelled(app="web")))], ADDRESS["web"], 80, ALLOW, id="podSelector"
        ),
        pytest.param(
            [allowing(PodPeer(labelled(app="web")))],
            ADDRESS["agent"],
            80,
            DENY,
            id="host-network pod is not found by label",
        ),
        pytest.param(
            [allowing(PodPeer(EVERYTHING))], ADDRESS["db"], 80, DENY, id="other namespace"
        ),
        pytest.param(
            [allowing(PodPeer(None, labelled(team="y")))],
            ADDRESS["db"],
            80,
            ALLOW,
            id="namespaceSelector",
        ),
        pytest.param(
            [allowing(NODES, ports=(PolicyPort(port=81),))], NODE_2, 80, DENY, id="other port"
        ),
        pytest.param(
            [allowing(ports=(PolicyPort(port=81), PolicyPort(port=80)))],
            NODE_2,
            80,
            ALLOW,
            id="ports are alternatives",
        ),
        pytest.param(
            [allowing(ports=(PolicyPort(Protocol.UDP, 80),))], NODE_2, 80, DENY, id="UDP only"
        ),
        pytest.param(
            [allowing(ports=(PolicyPort(Protocol.TCP),))], NODE_2, 80, ALLOW, id="all of TCP"
        ),
        pytest.param(
            [allowing(ports=(PolicyPort(port=79, end_port=80),))],
            NODE_2,
            80,
            ALLOW,
            id="endPort is part of the range",
        ),
        pytest.param(
            [allowing(ports=(PolicyPort(port=70, end_port=79),))],
            NODE_2,
            80,
            DENY,
            id="beyond endPort",
        ),
    ],
)
@pytest.mark.parametrize("direction", Direction)
def test_a_connection_is_allowed_if_one_rule_covers_it(
    policies: list[NetworkPolicy],
    address: IPv4Address,
    port: int,
    expected: Action,
    direction: Direction,
) -> None:
    """Peer and port of one rule of one policy must match; both readings agree on examples."""
    own = ADDRESS["client"]
    ends = (own, address) if direction is EGRESS else (address, own)
    seen = Seen(ends[0], 1024, ends[1], port, Protocol.TCP)

    assert (expected, expected) == _both(tuple(policies), direction, CLIENT, seen)


@pytest.mark.parametrize(
    ("name", "port", "expected"),
    [("web", 8080, ALLOW), ("web", 8081, DENY), ("db", 8081, ALLOW), ("db", 8080, DENY)],
)
def test_a_named_port_is_that_of_the_pod_that_is_asked(
    name: str, port: int, expected: Action
) -> None:
    """`http` is 8080 on web and 8081 on db; the client's own ports play no part."""
    http = allowing(ports=(PolicyPort(port="http"),))
    asked = Seen(ADDRESS["client"], 1024, ADDRESS[name], port, Protocol.TCP)

    assert (expected, expected) == _both((http,), EGRESS, CLIENT, asked)


def test_a_named_port_of_ingress_is_that_of_the_selected_pod() -> None:
    """On the way in, the pod that is asked is the one whose policy is evaluated."""
    http = allowing(ports=(PolicyPort(port="http"),))
    asked = Seen(ADDRESS["db"], 8081, ADDRESS["web"], 8080, Protocol.TCP)
    elsewhere = Seen(ADDRESS["db"], 8080, ADDRESS["web"], 8081, Protocol.TCP)

    assert (ALLOW, ALLOW) == _both((http,), INGRESS, WEB, asked)
    assert (DENY, DENY) == _both((http,), INGRESS, WEB, elsewhere)


def _both(
    policies: tuple[NetworkPolicy, ...], direction: Direction, pod: Pod, seen: Seen
) -> tuple[Action, Action]:
    """What the lab and the naive evaluator say, with addresses taken literally."""
    question = Question(SCENARIO, NETWORK, policies, direction, pod, seen)
    party = MatchingRules(identities=False).party(SCENARIO, NETWORK, question.peer)
    return decide(question, party).action, judge(question, party).action


RULES = (
    MatchingRules(identities=False),
    MatchingRules(identities=True),
    MatchingRules(identities=True, blocks_select_nodes=True),
)


@pytest.mark.parametrize("rules", RULES, ids=["literal", "identities", "identities and nodes"])
@hypothesis.settings(max_examples=60)
@given(worlds())
def test_policies_mean_what_the_naive_evaluator_says(rules: MatchingRules, world: World) -> None:
    """For random policies and connections both give the same action for the same reasons."""
    for question in world.questions():
        party = rules.party(world.scenario, world.network, question.peer)
        assert judge(question, party) == decide(question, party), question
