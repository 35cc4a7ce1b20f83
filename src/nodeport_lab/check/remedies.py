"""The smallest rule that makes dataplanes agree: found on those that deny, tried on all.

Candidates come from `advice`, made of what the denying hook saw; those that select what it
saw come first, narrow ones before wide ones. Packets say whether they help.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from nodeport_lab.advice import Candidate, candidates, manifest
from nodeport_lab.cells import Cell
from nodeport_lab.check.differences import Difference
from nodeport_lab.check.findings import Remedy
from nodeport_lab.check.questions import Question
from nodeport_lab.check.session import Session
from nodeport_lab.model import (
    Action,
    Decision,
    IPBlock,
    Network,
    NetworkPolicy,
    PolicyPort,
    PolicyRule,
    Scenario,
    Verdict,
)
from nodeport_lab.testbeds.interface import ProbeResult

MOST_QUESTIONS = 24
"""Questions of one remedy that are asked again to see whether dataplanes agree."""

EXAMPLES = 3
"""Those of one difference among them."""

MOST_RULES = 6
"""Rules of one remedy: at the client and at the server, for each way of seeing."""

_NOTHING = "none of the rules that were tried makes the dataplanes agree"


@dataclass(frozen=True, slots=True)
class Found:
    """Rules that were found for some questions, on the way to a remedy."""

    rules: tuple[Candidate, ...] = ()
    agrees: bool = True
    asked: int = 0

    @property
    def remedy(self) -> Remedy:
        """As it is told."""
        if not self.agrees:
            return Remedy(_NOTHING)
        manifests = tuple(manifest(policy) for policy in _named(self.rules))
        words = "; ".join(rule.words for rule in self.rules)
        return Remedy(words, manifests, agrees=True, cells=self.asked)


@dataclass(frozen=True, slots=True)
class Room:
    """A placement in which dataplanes run and differ.

    Attributes:
        found: what they differ in.
        sessions: dataplane -> running.
        scenario: what they run, with the policies in force.
    """

    found: Sequence[Difference]
    sessions: Mapping[str, Session]
    scenario: Scenario

    @property
    def questions(self) -> list[Question]:
        """Those that are asked again."""
        every = [question for one in self.found for question in one.questions[:EXAMPLES]]
        return list(dict.fromkeys(every))[:MOST_QUESTIONS]


def seek(rooms: Sequence[Room], start: Found, pool: Executor) -> Found:
    """Look for rules with which every dataplane allows what some of them allow.

    Args:
        rooms: where they differ, one or more.
        start: rules that are known to be needed for other questions.
        pool: dataplanes are asked at the same time, in all rooms.
    """
    chosen = list(start.rules)
    first = rooms[0].found[0]
    name = first.denying[0]
    left: _Left = {(0, name): [(first.questions[0], first.rows[0][name].denial)]}
    if chosen:
        left = _left(rooms, chosen, pool)
    while left:
        (place, name), some = next(iter(left.items()))
        room = rooms[place]
        question, denial = some[0]
        if denial is None or len(chosen) == MOST_RULES:
            return Found(agrees=False)  # silent for another reason, or not worth a rule more
        for candidate in _candidates(denial, question, room.scenario, room.sessions[name]):
            better = _needed([*chosen, candidate])
            after = _left(rooms, better, pool)
            if _is_past(denial, question, after.get((place, name), ())):
                chosen, left = better, after
                break
        else:
            return Found(agrees=False)
    asked = sum(len(room.questions) for room in rooms)
    return Found(tuple(chosen), agrees=True, asked=start.asked + asked)


_Left = dict[tuple[int, str], list[tuple[Question, Decision | None]]]
"""Number of a room and a dataplane in it -> what it does not allow, with what denied it."""


def _left(rooms: Sequence[Room], chosen: Sequence[Candidate], pool: Executor) -> _Left:
    """What dataplanes do not allow under some rules."""
    rules = _named(chosen)
    asked = {
        (number, name): pool.submit(
            _asked, session, room.questions, [*room.scenario.policies, *rules]
        )
        for number, room in enumerate(rooms)
        for name, session in room.sessions.items()
    }
    return {place: some for place, future in asked.items() if (some := future.result())}


def with_nodes_subnet(manifests: Sequence[dict[str, Any]], here: str, real: str) -> None:
    """Write the real nodes' subnet into manifests, where it is known."""
    for one in manifests:
        for direction in ("ingress", "egress"):
            for rule in one["spec"].get(direction, ()):
                for peer in (*rule.get("from", ()), *rule.get("to", ())):
                    if peer.get("ipBlock", {}).get("cidr") == here:
                        peer["ipBlock"]["cidr"] = real


def _is_past(
    denial: Decision, question: Question, left: Sequence[tuple[Question, Decision | None]]
) -> bool:
    """Whether a question is denied no more in the place where it was."""
    for other, after in left:
        if other == question:
            return after is not None and after.direction is not denial.direction
    return True


def _needed(chosen: Sequence[Candidate]) -> list[Candidate]:
    """Rules without those that a wider one, chosen later, makes superfluous."""
    return [
        one
        for number, one in enumerate(chosen)
        if not any(_covers(other.policy, one.policy) for other in chosen[number + 1 :])
    ]


def _covers(wide: NetworkPolicy, narrow: NetworkPolicy) -> bool:
    """Whether a rule for any peer allows at least what another one does."""
    if (wide.pod_selector, wide.namespace) != (narrow.pod_selector, narrow.namespace):
        return False
    pairs = zip((wide.ingress, wide.egress), (narrow.ingress, narrow.egress), strict=True)
    return all(
        len(ours) == len(theirs)
        and all(
            not our.peers and (not our.ports or our.ports == their.ports)
            for our, their in zip(ours, theirs, strict=True)
        )
        for ours, theirs in pairs
    )


def _candidates(
    denial: Decision, question: Question, scenario: Scenario, session: Session
) -> Iterator[Candidate]:
    """Rules worth trying, those first that select by name what the hook saw."""
    assert session.testbed is not None  # noqa: S101 - it has answered
    network = session.testbed.network
    cell = _cell(question)
    known = [
        one
        for one in candidates(denial, cell, scenario, network)
        if _names_a_port(one) and not _is_fleeting(one, network)
    ]
    egress = denial.direction == "egress"
    seen = denial.seen_destination if egress else denial.seen_source
    address = IPv4Address(seen.rpartition(":")[0])
    known.sort(key=lambda one: not _selects(one, address, network))
    yield from known
    if known:  # the last resort: anyone, on this port alone
        port = int(denial.seen_destination.rpartition(":")[2])
        rule = PolicyRule((), (PolicyPort(question.target.protocol, port),))
        given = known[0].policy
        changed = {"ingress": (), "egress": (), str(denial.direction): (rule,)}
        yield Candidate(f"{denial.direction}: any peer, port {port}", replace(given, **changed))  # type: ignore[arg-type]


def _cell(question: Question) -> Cell:
    target = question.target
    return Cell(
        client=question.client,
        server=target.server.workload,
        service=target.service.name if target.service else None,
        route=target.route,
        dialled_node=target.node,
        relation=None,
        probe=question.probe,
        server_pod=target.server,
    )


def _blocks(candidate: Candidate) -> list[IPv4Network]:
    rules = (*candidate.policy.ingress, *candidate.policy.egress)
    peers = [peer for rule in rules for peer in rule.peers if isinstance(peer, IPBlock)]
    return [peer.cidr for peer in peers if isinstance(peer.cidr, IPv4Network)]


def _selects(candidate: Candidate, address: IPv4Address, network: Network) -> bool:
    """Whether a rule selects what was seen: pods by label, others by address."""
    blocks = _blocks(candidate)
    if not blocks:
        return address in network.pods.values() and address not in network.nodes.values()
    return any(address in block for block in blocks)


def _names_a_port(candidate: Candidate) -> bool:
    """Whether a rule is narrowed to a port; what fails with the port that was seen, fails."""
    return any(rule.ports for rule in (*candidate.policy.ingress, *candidate.policy.egress))


def _is_fleeting(candidate: Candidate, network: Network) -> bool:
    """Whether a rule names one address of a pod or node, which tomorrow is another's."""
    own = {*network.pods.values(), *network.nodes.values(), *network.tunnels.values()}
    return "alone" in candidate.words and any(
        block.network_address in own for block in _blocks(candidate)
    )


def _named(chosen: Sequence[Candidate]) -> list[NetworkPolicy]:
    """Policies that may stand side by side: each has a name of its own."""
    return [
        replace(candidate.policy, name=f"nodeport-lab-remedy-{number}")
        for number, candidate in enumerate(chosen, start=1)
    ]


def _asked(
    session: Session, questions: Sequence[Question], policies: Sequence[NetworkPolicy]
) -> list[tuple[Question, Decision | None]]:
    """Ask under some policies; returns what is not allowed, with what denied it."""
    session.put_in_force(policies)
    return [
        (question, _denial(results))
        for question, results in zip(questions, session.ask(questions), strict=True)
        if any(result.verdict is not Verdict.ALLOWED for result in results)
    ]


def _denial(results: Sequence[ProbeResult]) -> Decision | None:
    for result in results:
        for decision in result.decisions:
            if decision.action is Action.DENY:
                return decision
    return None
