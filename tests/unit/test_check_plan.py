"""The plan: which questions there are, which differ, and which may be left out."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from support.naive import MatchingRules, Seen, judge
from support.naive import Question as NaiveQuestion
from support.strategies import World, worlds
from support.users import manifests, pod, policy, service

from nodeport_lab.cells import NODEPORT, POD_IP
from nodeport_lab.check.plan import Plan, make_plan
from nodeport_lab.check.questions import Question, Questions, all_questions, is_asked
from nodeport_lab.check.reasoning import Reasoner
from nodeport_lab.errors import LabError
from nodeport_lab.manifests.users_scenario import UsersManifests
from nodeport_lab.model import Action, Direction, Protocol
from nodeport_lab.testbeds.embedded.addressing import plan_network

ADDRESSES = MatchingRules(identities=False)


def placement(made: UsersManifests) -> tuple[Questions, Reasoner]:
    """The questions of a scenario, and who reasons about them."""
    network = plan_network(made.scenario, tunnel=True)
    reasoner = Reasoner(made.scenario, network, made.scenario.policies)
    return all_questions(made.scenario, network), reasoner


def many(number: int) -> UsersManifests:
    """Clients, all of one kind, and one server with two policies."""
    return manifests(
        pod("web", port=8080),
        service("web", "{type: NodePort, selector: {app: web}, ports: [{port: 80}]}"),
        *(pod(f"client-{one}", "app: client") for one in range(number)),
        pod("friend", "app: friend"),
        policy(
            "friends",
            "{podSelector: {matchLabels: {app: web}}, "
            "ingress: [{from: [{podSelector: {matchLabels: {app: friend}}}]}]}",
        ),
    )


def test_every_pod_asks_for_every_pod_and_every_service_by_every_route() -> None:
    """And a machine outside for what is announced there; nobody dials its own address."""
    made = manifests(
        pod("web", port=8080),
        pod("client"),
        service("web", "{type: LoadBalancer, selector: {app: web}, ports: [{port: 80}]}"),
        service("both", "{selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}"),
    )
    questions, _ = placement(made)

    asked = [question for question in questions if is_asked(question)]
    routes = {
        (question.client.name, question.target.route, question.target.node) for question in asked
    }
    nodes = [node.name for node in made.scenario.nodes]
    assert ("client", POD_IP, None) in routes
    assert {("client", NODEPORT, node) for node in nodes} <= routes
    assert {("external-routed", NODEPORT, node) for node in nodes} <= routes
    assert ("external-routed", "load-balancer", None) in routes
    assert ("external-routed", POD_IP, None) not in routes
    assert ("external-routed", "cluster-ip", None) not in routes


def test_numbers_and_order_of_questions_agree() -> None:
    """A sample names questions by number."""
    questions, _ = placement(many(2))

    assert list(questions) == [questions[number] for number in range(len(questions))]


def test_a_small_plan_asks_everything() -> None:
    """In the first placement; a later one adds what relates differently."""
    spread, together = many(1), None
    plan = make_plan([placement(spread)])

    assert plan.is_complete
    assert plan.asked == sum(map(is_asked, placement(spread)[0]))
    assert together is None


def test_a_capped_plan_leaves_out_no_kind() -> None:
    """Hundreds of equal clients are sampled, the one that differs is asked."""
    questions, reasoner = placement(many(60))
    everything = {reasoner.kind(question) for question in questions if is_asked(question)}

    plan = make_plan([(questions, reasoner)], cap=60)

    (asked,) = plan.questions
    assert not plan.is_complete
    assert 60 >= plan.asked
    assert everything == {reasoner.kind(question) for question in asked}
    assert "friend" in {question.client.name for question in asked}


def test_a_cap_that_would_leave_something_out_is_refused() -> None:
    """With the number that would do."""
    with pytest.raises(LabError, match=r"--max-cells \d+") as refused:
        make_plan([placement(many(60))], cap=3)

    least = int(re.findall(r"--max-cells (\d+)", str(refused.value))[0])
    assert least == make_plan([placement(many(60))], cap=least).asked


def test_the_same_manifests_make_the_same_plan() -> None:
    """A gate must not waver."""
    plans: list[Plan] = [make_plan([placement(many(60))], cap=80) for _ in range(2)]

    assert plans[0].questions == plans[1].questions


def outcome(world: World, direction: Direction, pod_key: str, seen: Seen) -> Action:
    """What the naive evaluator says at one pod's door."""
    (own,) = (one for one in world.scenario.pods if one.key == pod_key)
    asked = NaiveQuestion(world.scenario, world.network, world.policies, direction, own, seen)
    return judge(asked, ADDRESSES.party(world.scenario, world.network, asked.peer)).action


def verdicts(world: World, question: Question) -> tuple[Action, ...]:
    """What the naive evaluator says of a call to a pod's own address, at both doors."""
    target, client = question.target, question.client.pod
    assert client is not None
    seen = Seen(world.network.pods[client.key], 1025, target.address, target.port, target.protocol)
    doors = [(Direction.EGRESS, client.key), (Direction.INGRESS, target.server.key)]
    return tuple(outcome(world, direction, key, seen) for direction, key in doors)


@settings(max_examples=60, deadline=None)
@given(worlds())
def test_questions_of_one_kind_have_one_answer(world: World) -> None:
    """The evaluator that knows nothing of the reasoning gives them all the same verdicts."""
    reasoner = Reasoner(world.scenario, world.network, world.policies)
    by_kind: dict[object, set[tuple[Action, ...]]] = {}
    for question in all_questions(world.scenario, world.network):
        of_pods = question.target.route == POD_IP and question.client.pod is not None
        if of_pods and is_asked(question) and question.target.protocol is not Protocol.SCTP:
            found = verdicts(world, question)
            by_kind.setdefault(reasoner.kind(question), set()).add(found)

    assert all(len(found) == 1 for found in by_kind.values())
