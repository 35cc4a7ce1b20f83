"""The atlas: who reaches the server, how, under which policy, on several dataplanes at once.

A run contributes a `Part`. Kinds of clients that got the same answers share a table, ways
with the same answers a column. What is merged is found in the parts, never stated.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from nodeport_lab.model import Client, ClientKind, Relation, Run
from nodeport_lab.report import html
from nodeport_lab.report.dependence import NodeDependence
from nodeport_lab.report.grid import CONTROL, rank
from nodeport_lab.report.seen import Names, looking, seen_name
from nodeport_lab.report.words import SYMBOLS, changed_options, in_order, listed, marked

JSON = "application/vnd.nodeport-lab.atlas"
"""The kind of output, JSON as text, by which a notebook hands on its part."""

EVERY_WAY = "every way"

SERVERS_NODE = "on the server's node"
ANOTHER_NODE = "on another node"
ANY_NODE = "on any node"

_OUTSIDE = {
    "external": "machine on the nodes' network",
    "external-routed": "machine behind a router",
}


@dataclass(frozen=True, slots=True)
class Kind:
    """Clients of one kind: who they are, and where; `place` is empty outside and for servers."""

    who: str
    place: str = ""

    def __str__(self) -> str:
        """As people say it: `pod on another node`."""
        return f"{self.who} {self.place}".strip()


@dataclass(frozen=True, slots=True)
class Way:
    """One way to the server: a kind of client, and a target."""

    kind: Kind
    target: str


@dataclass(frozen=True, slots=True, repr=False)
class Part:
    """What one run contributes to an atlas.

    Attributes:
        suite: the questions that the run answered.
        dataplane: its name.
        options: what was set apart from its defaults, as words.
        basis: see `Run`.
        connections: how many were tried.
        answers: policy and way -> the different outcomes.
        seen: way -> what policy saw, in words; empty where that is not told.
    """

    suite: str
    dataplane: str
    options: str
    basis: str
    connections: int
    answers: Mapping[tuple[str, Way], tuple[str, ...]]
    seen: Mapping[Way, tuple[str, ...]] = field(default_factory=dict)

    def __repr__(self) -> str:
        """What the part holds, in short."""
        return f"atlas of {self.suite}: {self.connections} connections on {self.dataplane}"

    @property
    def policies(self) -> tuple[str, ...]:
        """The policies in their order."""
        return tuple(dict.fromkeys(policy for policy, _ in self.answers))

    @property
    def ways(self) -> tuple[Way, ...]:
        """The ways, from near to far for each kind of client."""
        found = dict.fromkeys(way for _, way in self.answers)
        kinds = list(dict.fromkeys(way.kind for way in found))
        return tuple(sorted(found, key=lambda way: (kinds.index(way.kind), rank(way.target))))

    def to_json(self) -> dict[str, Any]:
        """What `from_json` reads; without what was seen, which belongs to a testbed."""
        return {
            "suite": self.suite,
            "dataplane": self.dataplane,
            "options": self.options,
            "basis": self.basis,
            "connections": self.connections,
            "ways": [[way.kind.who, way.kind.place, way.target] for way in self.ways],
            "answers": {
                policy: ["/".join(self.answers.get((policy, way), ())) for way in self.ways]
                for policy in self.policies
            },
        }

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {JSON: json.dumps(self.to_json()), "text/plain": repr(self)}


@dataclass(frozen=True, slots=True, repr=False)
class Seen:
    """What policy saw of the ways of a part, apart from the part: it belongs to a testbed."""

    part: Part

    def __repr__(self) -> str:
        """What it holds, in short."""
        return f"what policy saw on {self.part.dataplane}, {len(self.part.seen)} ways"

    def to_json(self) -> list[list[str]]:
        """In the order of the part's ways."""
        return [list(self.part.seen.get(way, ())) for way in self.part.ways]

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {JSON: json.dumps(self.to_json()), "text/plain": repr(self)}


def from_json(part: Mapping[str, Any], seen: Sequence[Sequence[str]] = ()) -> Part:
    """A part as its run wrote it, and what policy saw there, if that is at hand."""
    ways = [Way(Kind(who, place), target) for who, place, target in part["ways"]]
    return Part(
        suite=part["suite"],
        dataplane=part["dataplane"],
        options=part["options"],
        basis=part["basis"],
        connections=part["connections"],
        answers={
            (policy, way): tuple(outcomes.split("/"))
            for policy, row in part["answers"].items()
            for way, outcomes in zip(ways, row, strict=True)
            if outcomes
        },
        seen=dict(zip(ways, map(tuple, seen), strict=False)),
    )


def part(run: Run, clients: Iterable[Client], names: Names | None = None) -> Part:
    """What a run contributes.

    Args:
        run: the run.
        clients: who called in it.
        names: of its addresses; None leaves out what policy saw.
    """
    kinds = kinds_of(run, clients)
    answers: defaultdict[tuple[str, Way], set[str]] = defaultdict(set)
    seen: defaultdict[Way, set[str]] = defaultdict(set)
    for cell in run.observations:
        answers[cell.policy, Way(kinds[cell.client], cell.target)].add(cell.outcome)
    if names is not None:
        for cell in looking(run):
            seen[Way(kinds[cell.client], cell.target)].add(seen_name(cell, names))
    return Part(
        suite=run.suite,
        dataplane=run.dataplane,
        options=changed_options(run),
        basis=run.basis,
        connections=len(run.observations),
        answers={key: in_order(found) for key, found in answers.items()},
        seen={way: tuple(sorted(found)) for way, found in seen.items()},
    )


def client_groups(run: Run, clients: Iterable[Client]) -> dict[str, str]:
    """Client -> the kinds that got the same answers as its own, in words."""
    everyone = tuple(clients)
    groups = Atlas((part(run, everyone),)).groups
    return {
        client: group.words
        for client, kind in kinds_of(run, everyone).items()
        for group in groups
        if kind in group.kinds
    }


def node_dependence(one: Part, clients: str) -> NodeDependence:
    """Under which policies the node dialled decides for clients of a kind."""
    relations = frozenset(map(str, Relation))
    found: defaultdict[str, defaultdict[Kind, set[tuple[str, ...]]]]
    found = defaultdict(lambda: defaultdict(set))
    for (policy, way), outcomes in one.answers.items():
        if (
            policy != CONTROL
            and way.target in relations
            and clients in {way.kind.who, str(way.kind)}
            and not {"no path", "error"} & {*outcomes}
        ):
            found[policy][way.kind].add(outcomes)
    return NodeDependence(
        policies=tuple(found),
        dependent=tuple(
            policy
            for policy, kinds in found.items()
            if any(len(answers) > 1 or len(next(iter(answers))) > 1 for answers in kinds.values())
        ),
    )


@dataclass(frozen=True, slots=True)
class Group:
    """Kinds of clients with the same answers, and their targets in columns of equal answers."""

    kinds: tuple[Kind, ...]
    columns: tuple[tuple[str, ...], ...]

    @property
    def words(self) -> str:
        """Who they are: `host-network pod or host process on another node`."""
        places: defaultdict[str, list[str]] = defaultdict(list)
        for kind in self.kinds:
            places[kind.place].append(kind.who)
        if len(places) > 1 and len({tuple(who) for who in places.values()}) == 1:
            places = defaultdict(list, {ANY_NODE: next(iter(places.values()))})
        return " or ".join(f"{listed(who, 'or')} {place}".strip() for place, who in places.items())

    def heading(self, column: tuple[str, ...]) -> str:
        """What stands above a column."""
        return EVERY_WAY if len(self.columns) == 1 and len(column) > 1 else ", ".join(column)

    @property
    def targets(self) -> tuple[str, ...]:
        """All targets, from near to far."""
        return tuple(sorted((one for column in self.columns for one in column), key=rank))


@dataclass(frozen=True)
class Atlas:
    """Parts side by side: a table for each group of clients; shows itself in a notebook."""

    parts: tuple[Part, ...]

    @cached_property
    def policies(self) -> tuple[str, ...]:
        """Every policy of any part."""
        return tuple(dict.fromkeys(policy for one in self.parts for policy in one.policies))

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """The tables."""
        found: list[dict[Kind, _Answers]] = []
        for kind, answers in self._by_kind().items():
            home = next((one for one in found if _belongs(kind, answers, one)), None)
            if home is None:
                found.append({kind: answers})
            else:
                home[kind] = answers
        return tuple(_grouped(one) for one in found)

    def outcomes(self, one: Part, group: Group, column: Sequence[str], policy: str) -> list[str]:
        """The different outcomes in one place of a table; empty where nobody asked."""
        found = {
            outcome
            for kind in group.kinds
            for target in column
            for outcome in one.answers.get((policy, Way(kind, target)), ())
        }
        return list(in_order(found))

    def seen(self, one: Part, group: Group, target: str) -> list[str]:
        """What policy saw of a group's packets to a target on one dataplane."""
        found = {name for kind in group.kinds for name in one.seen.get(Way(kind, target), ())}
        return sorted(found)

    @property
    def connections(self) -> int:
        """How many were tried in all."""
        return sum(one.connections for one in self.parts)

    @property
    def legend(self) -> tuple[str, ...]:
        """The outcomes that appear, each with its symbol."""
        found = {outcome for one in self.parts for some in one.answers.values() for outcome in some}
        return tuple(marked(outcome) for outcome in in_order(found))

    @property
    def has_seen(self) -> bool:
        """Whether it is known what policy saw."""
        return any(one.seen for one in self.parts)

    def __repr__(self) -> str:
        """The tables in plain text, one symbol for each column."""
        lines = ["   ".join(self.legend)]
        for group in self.groups:
            columns = " | ".join(group.heading(column) for column in group.columns)
            lines += ["", f"{group.words}: {columns}", *self._lines(group)]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return html.render("atlas.html.j2", atlas=self, symbols=SYMBOLS)

    def _lines(self, group: Group) -> Iterable[str]:
        names = [" ".join(filter(None, (one.dataplane, one.options))) for one in self.parts]
        widest = max(map(len, self.policies), default=0)
        yield "  ".join((" " * widest, *names)).rstrip()
        for policy in self.policies:
            symbols = (
                " ".join(
                    "".join(SYMBOLS[found] for found in self.outcomes(one, group, column, policy))
                    or "·"
                    for column in group.columns
                ).ljust(len(name))
                for one, name in zip(self.parts, names, strict=True)
            )
            yield "  ".join((policy.ljust(widest), *symbols)).rstrip()

    def _by_kind(self) -> dict[Kind, _Answers]:
        found: defaultdict[Kind, dict[str, tuple[tuple[str, ...], ...]]] = defaultdict(dict)
        for way in dict.fromkeys(way for one in self.parts for way in one.ways):
            found[way.kind][way.target] = tuple(
                one.answers.get((policy, way), ()) for one in self.parts for policy in self.policies
            )
        return dict(found)


_Answers = Mapping[str, tuple[tuple[str, ...], ...]]
"""Target -> the outcomes under every policy on every dataplane."""


def kinds_of(run: Run, clients: Iterable[Client]) -> dict[str, Kind]:
    """The kind of each client; the server's node is where answers came from."""
    homes = {cell.backend_node for cell in run.observations}
    return {client.name: _kind(client, homes) for client in clients}


def _kind(client: Client, homes: set[str | None]) -> Kind:
    if client.kind is ClientKind.EXTERNAL:
        return Kind(_OUTSIDE.get(client.name, client.name))
    if client.pod is not None and client.pod.ports:
        return Kind("the server itself")
    return Kind(str(client.kind), SERVERS_NODE if client.node in homes else ANOTHER_NODE)


def _belongs(kind: Kind, answers: _Answers, group: Mapping[Kind, _Answers]) -> bool:
    """Whether a kind may join a group: akin to each of its kinds, and with their answers."""
    return all(
        (kind.who == other.who or kind.place == other.place != "")
        and answers.keys() & theirs.keys()
        and all(answers[target] == theirs[target] for target in answers.keys() & theirs.keys())
        for other, theirs in group.items()
    )


def _grouped(kinds: Mapping[Kind, _Answers]) -> Group:
    together = {target: one for answers in kinds.values() for target, one in answers.items()}
    columns: defaultdict[tuple[tuple[str, ...], ...], list[str]] = defaultdict(list)
    for target in sorted(together, key=rank):
        columns[together[target]].append(target)
    return Group(tuple(kinds), tuple(map(tuple, columns.values())))
