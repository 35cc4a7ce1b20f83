"""What a test that dials some nodes only would have missed, counted from observations.

A test dials a client's own node, or others, under one policy, and takes what it saw for the
answer of all. It misses a connection whose outcome it never saw for that client under that
policy. Only clients that could dial both kinds of nodes count.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from nodeport_lab.model import Relation
from nodeport_lab.report.table import Cell, Note, Row, Table

TESTS: Mapping[str, frozenset[Relation]] = {
    "its own node\nalone": frozenset({Relation.OWN_NODE}),
    "other nodes\nalone": frozenset({Relation.OTHER_NODE, Relation.THIRD_NODE}),
    "its own and\nthe server's": frozenset({Relation.OWN_NODE, Relation.OTHER_NODE}),
    "its own and\na third": frozenset({Relation.OWN_NODE, Relation.THIRD_NODE}),
}
"""Name of a test -> the nodes that it dials."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a client's connection to a NodePort under a policy."""

    policy: str
    client: str
    relation: Relation
    outcome: str


@dataclass(frozen=True, slots=True)
class Missed:
    """What a test would have missed: connections and policies with any, each of how many."""

    connections: int = 0
    of_connections: int = 0
    policies: int = 0
    of_policies: int = 0

    def __add__(self, other: Missed) -> Missed:
        """Both together."""
        return Missed(
            self.connections + other.connections,
            self.of_connections + other.of_connections,
            self.policies + other.policies,
            self.of_policies + other.of_policies,
        )


def missed(answers: Iterable[Answer], dialled: frozenset[Relation]) -> Missed:
    """What a test that dials these nodes would have missed."""
    seen: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    unseen: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for one in answers:
        key = (one.policy, one.client)
        if one.relation in dialled:
            seen[key].add(one.outcome)
        else:
            unseen[key].append(one.outcome)
    asked = {key: outcomes for key, outcomes in unseen.items() if key in seen}
    wrong = {
        key: [outcome for outcome in outcomes if outcome not in seen[key]]
        for key, outcomes in asked.items()
    }
    return Missed(
        sum(map(len, wrong.values())),
        sum(map(len, asked.values())),
        len({policy for (policy, _), outcomes in wrong.items() if outcomes}),
        len({policy for policy, _ in asked}),
    )


def coverage_table(answers: Mapping[str, Sequence[Answer]], caption: str, note: Note) -> Table:
    """A row for each dataplane and one for all, a column for each test.

    Args:
        answers: dataplane -> what its run observed.
        caption: of the table.
        note: what it was made from.
    """
    found = {
        name: [missed(observed, dialled) for dialled in TESTS.values()]
        for name, observed in answers.items()
    }
    together = [sum(column, Missed()) for column in zip(*found.values(), strict=True)]
    rows: list[Row] = [
        (name, tuple(map(_cell, tests))) for name, tests in [*found.items(), ("all", together)]
    ]
    return Table(
        caption=caption,
        corner="a test that dials",
        headings=tuple(TESTS),
        rows=tuple(rows),
        notes=(note,),
    )


def _cell(one: Missed) -> Cell:
    if not one.of_connections:
        return Cell("nothing left to miss")
    return Cell(
        f"misses {one.connections or 'none'} of {one.of_connections}",
        detail=f"under {one.policies or 'none'} of {one.of_policies} policies",
        kind="refined" if one.connections else "",
    )
