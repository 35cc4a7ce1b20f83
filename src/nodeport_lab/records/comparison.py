"""What differs between two sets of runs: runs and cells are paired by their names.

A run is paired by dataplane, options and suite; a cell by who calls whom, how, and under
which policy. Client ports, times and addresses are not compared, and evidence only where
both sides have it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from nodeport_lab.model import Observation, Run
from nodeport_lab.records.files import Record

_RELEASE = ("calico", "cilium")

Role = Callable[[Run, Observation], str | None]
"""Whose address policy saw in a cell of a run; None where that is not known."""

Subject = tuple[str, tuple[tuple[str, str], ...], str]
"""Dataplane, options and suite."""

Question = tuple[object, ...]
"""The names of a cell, and which of several cells with these names it is."""


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that a cell shows differently: what it is, on side A and on side B."""

    what: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class CellDifference:
    """A cell that both sides have, and how it differs."""

    before: Observation
    after: Observation
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two runs of the same subject.

    Attributes:
        before: the record of side A.
        after: the record of side B.
        compared: how many cells both have.
        differences: those of them that differ.
        only_before: cells that only A has.
        only_after: cells that only B has.
    """

    before: Record
    after: Record
    compared: int
    differences: tuple[CellDifference, ...]
    only_before: tuple[Observation, ...]
    only_after: tuple[Observation, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two sets of runs side by side.

    Attributes:
        pairs: runs that both sides have.
        only_before: runs that only A has.
        only_after: runs that only B has.
        older: records left out, since another one of the same subject counts.
    """

    pairs: tuple[Pair, ...]
    only_before: tuple[Record, ...]
    only_after: tuple[Record, ...]
    older: tuple[Record, ...]

    @property
    def differences(self) -> int:
        """How many cells that both sides have differ."""
        return sum(len(pair.differences) for pair in self.pairs)

    @property
    def one_sided(self) -> int:
        """How many runs, and cells of paired runs, only one side has."""
        cells = sum(len(pair.only_before) + len(pair.only_after) for pair in self.pairs)
        return cells + len(self.only_before) + len(self.only_after)


def compare(before: Sequence[Record], after: Sequence[Record], role: Role) -> Comparison:
    """Pair the runs of both sides and compare them cell by cell.

    Of several records of a subject the last counts; on side A the last of the release that side
    B has, if there is one. So a version that is tried again is held to its own record, and a new
    one to what was observed last.

    Args:
        before: side A.
        after: side B.
        role: names what policy saw.
    """
    new = _latest(after)
    old = _latest(before) | _latest(
        [
            one
            for one in before
            if (other := new.get(subject(one.run))) and release(one.run) == release(other.run)
        ]
    )
    kept = [*old.values(), *new.values()]
    return Comparison(
        pairs=tuple(_pair(old[key], new[key], role) for key in old if key in new),
        only_before=tuple(record for key, record in old.items() if key not in new),
        only_after=tuple(record for key, record in new.items() if key not in old),
        older=tuple(one for one in (*before, *after) if not any(one is other for other in kept)),
    )


def subject(run: Run) -> Subject:
    """What a run is about, and by which it is paired."""
    return run.dataplane, tuple(sorted(run.options.items())), run.suite


def release(run: Run) -> tuple[str | None, ...]:
    """The versions that decide about policy, as far as the run has them."""
    return tuple(run.versions.get(name) for name in _RELEASE)


def question(cell: Observation) -> Question:
    """Who calls whom, how, and under which policy, by names alone."""
    return (
        *(cell.policy, cell.direction, cell.namespace, cell.client, cell.client_node),
        *(cell.server, cell.service, cell.protocol, cell.route, cell.dialled_node),
    )


def changes(
    before: tuple[Run, Observation], after: tuple[Run, Observation], role: Role
) -> tuple[Change, ...]:
    """How a cell of one run differs from the same cell of another: verdict, control, seen."""
    return tuple(
        Change(what, first, second)
        for what, first, second in (
            ("verdict", str(before[1].verdict), str(after[1].verdict)),
            ("control", str(before[1].control), str(after[1].control)),
            ("seen", role(*before), role(*after)),
        )
        if first is not None and second is not None and first != second
    )


def _latest(records: Sequence[Record]) -> dict[Subject, Record]:
    """The last record of each subject; of records without a date the last one given."""
    found: dict[Subject, Record] = {}
    for record in sorted(records, key=lambda one: one.run.date or ""):
        found[subject(record.run)] = record
    return found


def _pair(before: Record, after: Record, role: Role) -> Pair:
    old, new = dict(_numbered(before.run)), dict(_numbered(after.run))
    common = [key for key in old if key in new]
    found = (
        CellDifference(
            old[key], new[key], changes((before.run, old[key]), (after.run, new[key]), role)
        )
        for key in common
    )
    return Pair(
        before,
        after,
        compared=len(common),
        differences=tuple(one for one in found if one.changes),
        only_before=tuple(cell for key, cell in old.items() if key not in new),
        only_after=tuple(cell for key, cell in new.items() if key not in old),
    )


def _numbered(run: Run) -> Iterator[tuple[Question, Observation]]:
    """Cells under their names; several backends or ports of one Service are counted."""
    met: Counter[Question] = Counter()
    for cell in run.observations:
        names = question(cell)
        yield (*names, met[names]), cell
        met[names] += 1
