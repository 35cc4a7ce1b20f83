"""A packet walk as text: place after place, readable at 80 columns."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from nodeport_lab.model import Action
from nodeport_lab.report import walk_words as words
from nodeport_lab.report.words import provenance, title
from nodeport_lab.trace import End
from nodeport_lab.walk import Drop, Evaluation, Exemption, Rule, Step, Translation, Visit, Walk

_INDENT = 2
_RULE_STYLE = "dim"
_TRANSLATION_STYLE = "cyan"
_GOOD, _BAD = "green", "red"


def render(walk: Walk) -> Group:
    """The walk for a terminal."""
    parts: list[RenderableType] = [
        Text(
            f"{walk.client} → {walk.route} ({walk.dialled} over {walk.protocol}), "
            f"policy {walk.policy}, {title(walk.run)}",
            "bold",
        ),
        Text(provenance(walk.run), _RULE_STYLE),
    ]
    for visit in walk.visits:
        parts += [Text(), *_visit(walk, visit)]
    for lane in walk.lanes:
        if not lane.reached:
            parts += [Text(), Text(f"{lane.place.name} ({words.kind(lane)}): not reached", "dim")]
    return Group(
        *parts, Text(), Text(words.verdict(walk), _GOOD if walk.outcome == "allowed" else _BAD)
    )


def raw(walk: Walk) -> str:
    """The kernel's own lines about the packet, place after place."""
    return "\n\n".join(
        "\n".join((f"# {visit.place.name} ({visit.place.kind})", *visit.lines))
        for visit in walk.visits
    )


def _visit(walk: Walk, visit: Visit) -> Iterator[RenderableType]:
    lane = next(lane for lane in walk.lanes if lane.place == visit.place)
    arrived = f", by {visit.arrived_by}" if visit.arrived_by else ""
    yield Text.assemble((visit.place.name, "bold"), f" ({words.kind(lane)}){arrived}")
    source, destination = visit.entered.source, visit.entered.destination
    if visit.arrived_by is None:
        yield _line(f"dials {destination} from {source}")
    else:
        yield _line(f"sees {words.flow(source, destination)}")
    for step in visit.steps:
        yield from _step(walk, step)
    if visit.end is End.ARRIVED and (logged := words.logged(walk)):
        yield _line(logged)


def _step(walk: Walk, step: Step) -> Iterator[RenderableType]:
    match step:
        case Translation():
            change = words.flow(step.before, step.after)
            yield _line(f"{step.side} {change}", _TRANSLATION_STYLE)
            if step.rule is None:
                yield _line("as for the connection's earlier packets", _RULE_STYLE, 2)
            else:
                yield _rule(step.rule)
        case Evaluation():
            decision = step.decision
            yield _line(f"policy: {words.question(step)}")
            yield _line(
                f"saw {words.flow(decision.seen_source, decision.seen_destination)}", depth=2
            )
            for considered in step.considered:
                yield _line(words.clause(considered, decision, walk.run.dataplane), depth=2)
            style = _GOOD if decision.action is Action.ALLOW else _BAD
            yield _line(words.answer(step), style, 2)
        case Exemption():
            yield _line("policy is not evaluated: a rule accepts first")
            yield _rule(step.rule)
        case Drop():
            yield _line("dropped", _BAD)
            yield _rule(step.rule)


def _rule(rule: Rule) -> Padding:
    return _line(f"{words.standing(rule)}: {rule.text}", _RULE_STYLE, 2)


def _line(text: str, style: str = "", depth: int = 1) -> Padding:
    return Padding(Text(text, style), (0, 0, 0, _INDENT * depth), expand=False)
