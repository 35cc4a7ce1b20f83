"""The words of a packet walk, for its text, its figure and the figure's description."""

from __future__ import annotations

from collections.abc import Sequence

from nodeport_lab.model import (
    Action,
    Decision,
    Direction,
    IPBlock,
    LabelSelector,
    Operator,
    PodPeer,
    PolicyPort,
    Requirement,
)
from nodeport_lab.report.words import listed, marked
from nodeport_lab.trace import End
from nodeport_lab.walk import (
    Considered,
    Drop,
    Evaluation,
    Exemption,
    Lane,
    Mismatch,
    Rule,
    Side,
    Step,
    Translation,
    Walk,
)

ALLOWS, DENIES = "✓", "✗"


def host(address: str) -> str:
    """An `address:port` without its port."""
    return address.rpartition(":")[0]


def flow(source: str, destination: str) -> str:
    """A packet by its addresses."""
    return f"{source} → {destination}"


def kind(lane: Lane) -> str:
    """What a lane is: `node: the client's, dialled`."""
    roles = listed(lane.roles)
    return f"{lane.place.kind}: {roles}" if roles else str(lane.place.kind)


def standing(rule: Rule) -> str:
    """Where a rule stands: table and chain."""
    return f"{rule.table} {rule.chain}"


def replacement(translation: Translation) -> str:
    """What an address became, without the port if that is a client's."""
    new = translation.after
    return new if translation.side is Side.DESTINATION else host(new)


def question(evaluation: Evaluation) -> str:
    """What was evaluated where: `egress of client-a at filter FORWARD`."""
    decision = evaluation.decision
    return f"{decision.direction} of {evaluation.pod} at {decision.hook}"


def answer(evaluation: Evaluation) -> str:
    """What was decided: `✗ denied: no clause matched (default-deny)`."""
    decision = evaluation.decision
    if decision.action is Action.DENY:
        why = "no clause matched" if evaluation.considered else "no clause allows anything"
        return f"{DENIES} denied: {why} ({decision.rule})"
    if decision.policy is None:
        return f"{ALLOWS} allowed: no policy selects {evaluation.pod} for {decision.direction}"
    return f"{ALLOWS} allowed"


def clause(considered: Considered, decision: Decision, dataplane: str) -> str:
    """A clause and, if it did not match, why."""
    words = f"{considered.policy} {considered.path}: {peer(considered.peer)}"
    if considered.ports:
        words = f"{words}, {ports(considered.ports)}"
    if considered.mismatch is None:
        return f"{ALLOWS} {words}"
    return f"{DENIES} {words}; {_reason(considered, decision, dataplane)}"


def peer(written: IPBlock | PodPeer | None) -> str:
    """A peer as people say it: `ipBlock 172.18.0.0/24`, `pods app=hello`."""
    if written is None:
        return "any peer"
    if isinstance(written, IPBlock):
        excepted = listed(str(part) for part in written.except_)
        return f"ipBlock {written.cidr}" + (f" except {excepted}" if excepted else "")
    pods = f"pods {selector(written.pod_selector)}" if written.pod_selector else "pods"
    if written.namespace_selector is None:
        return pods
    return f"{pods} in namespaces {selector(written.namespace_selector)}"


def selector(labels: LabelSelector) -> str:
    """A label selector as kubectl writes it; `(any)` if it selects everything."""
    parts = [f"{key}={value}" for key, value in labels.match_labels]
    parts += [_requirement(each) for each in labels.match_expressions]
    return ",".join(parts) or "(any)"


def ports(written: Sequence[PolicyPort]) -> str:
    """The ports of a rule: `port 8080/TCP or http/TCP`."""
    shown = [_port(each) for each in written]
    return f"port {' or '.join(shown)}"


def verdict(walk: Walk) -> str:
    """How the connection ended, and where the packet did."""
    return f"{marked(walk.outcome)}: {_ending(walk)}"


def logged(walk: Walk) -> str | None:
    """What the application took for its client; None if it was not reached."""
    if walk.application_source is None:
        return None
    return f"the application logs {walk.application_source}"


def describe(walk: Walk) -> str:
    """The whole walk in sentences, for those who cannot see the figure. No client's ports."""
    title = f"Packet walk on {walk.run.dataplane} under {walk.policy}"
    sentences = [f"{walk.client} dials {walk.dialled} ({walk.route})."]
    for visit in walk.visits:
        told = [_told(step) for step in visit.steps]
        if told:
            sentences.append(f"On {visit.place.name} {listed(told)}.")
    if walk.application_source is not None:
        sentences.append(f"The application logs {host(walk.application_source)}.")
    return f"{title}: {' '.join(sentences)} Verdict: {walk.outcome}."


def _told(step: Step) -> str:
    match step:
        case Translation():
            return f"the {step.side} becomes {replacement(step)}"
        case Exemption():
            return "policy is not evaluated"
        case Drop():
            return f"{standing(step.rule)} drops it"
    decision = step.decision
    done = "denies" if decision.action is Action.DENY else "allows"
    seen = flow(host(decision.seen_source), decision.seen_destination)
    why = " ".join(part for part in (decision.policy, decision.rule) if part)
    return f"the {decision.direction} policy of {step.pod} sees {seen} and {done} it ({why})"


def _ending(walk: Walk) -> str:
    match walk.outcome:
        case "allowed":
            return f"{walk.server} answers"
        case "no path":
            return f"without any policy there is no answer either; the packet {_last_seen(walk)}"
        case "error" if walk.detail:
            return f"{walk.detail}; the packet {_last_seen(walk)}"
    denials = [each for each in walk.evaluations if each.decision.action is Action.DENY]
    if denials:
        return f"dropped on {denials[-1].decision.node}, {question(denials[-1])}"
    return f"the packet {_last_seen(walk)}"


def _last_seen(walk: Walk) -> str:
    """Where the packet ended, going by the trace alone."""
    if not walk.visits:
        return "was never sent"
    visit = walk.visits[-1]
    drops = [step for step in visit.steps if isinstance(step, Drop)]
    if drops:
        return f"ends on {visit.place.name}, dropped by {standing(drops[-1].rule)}"
    match visit.end:
        case End.ARRIVED:
            return f"arrives on {visit.place.name}, where nothing answers"
        case End.LEFT:
            return f"leaves {visit.place.name} and is not seen again"
        case End.LOST:
            return f"ends on {visit.place.name}"


def _reason(considered: Considered, decision: Decision, dataplane: str) -> str:
    egress = decision.direction is Direction.EGRESS
    address = host(decision.seen_destination if egress else decision.seen_source)
    group = "in it" if isinstance(considered.peer, IPBlock) else "one of them"
    match considered.mismatch:
        case Mismatch.PORT:
            return f"the port is {decision.seen_destination.rpartition(':')[2]}"
        case Mismatch.MEANING:
            return f"{address} is {group}, but {dataplane} does not match it by its address"
        case _:
            return f"{address} is not {group}"


def _requirement(each: Requirement) -> str:
    match each.operator:
        case Operator.IN:
            return f"{each.key} in ({','.join(each.values)})"
        case Operator.NOT_IN:
            return f"{each.key} notin ({','.join(each.values)})"
        case Operator.EXISTS:
            return each.key
        case Operator.DOES_NOT_EXIST:
            return f"!{each.key}"


def _port(each: PolicyPort) -> str:
    number = "any" if each.port is None else str(each.port)
    span = f"-{each.end_port}" if each.end_port is not None else ""
    return f"{number}{span}/{each.protocol}"
