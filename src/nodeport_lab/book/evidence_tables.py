"""The tables of the evidence page: live and embedded in one cell where they agree, else both."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from nodeport_lab.claims import Claim, RunStatus, Status, statuses
from nodeport_lab.model import Observation, Run
from nodeport_lab.records import Record
from nodeport_lab.records.comparison import Pair
from nodeport_lab.report.claim_tables import STATUS_SYMBOLS
from nodeport_lab.report.table import Cell, Group, Row, Table
from nodeport_lab.report.words import marked, title

SILENT = "not asked"
"""A run has no cell that the claim speaks of."""

_AGREES, _DIFFERS = "agrees", "differs"


@dataclass(frozen=True, slots=True)
class Beside:
    """A record and the embedded run of the same questions.

    Attributes:
        record: from a live cluster.
        embedded: None where the embedded testbed cannot ask these questions here.
        pair: the embedded run and the record, cell by cell; None without the former.
        reason: why there is none.
    """

    record: Record
    embedded: Run | None
    pair: Pair | None
    reason: str = ""


def differing_table(found: Iterable[Beside]) -> Table:
    """Every cell that differs, a row for each thing that does."""
    rows: list[Row] = []
    for one in found:
        for difference in one.pair.differences if one.pair else ():
            rows += [
                (
                    _way(difference.before),
                    (
                        Cell(difference.before.policy),
                        Cell(change.what),
                        Cell(change.before),
                        Cell(change.after, kind=_DIFFERS),
                        Cell(_name(one)),
                    ),
                )
                for change in difference.changes
            ]
    return Table(
        "Where a live cluster and the embedded testbed differ",
        "connection",
        ("policy", "what", "embedded", "live", "record"),
        tuple(rows),
    )


def claims_table(found: Sequence[Beside], claims: Iterable[Claim]) -> Table:
    """Every claim that is measured, and where it stands live and embedded, record by record."""
    shown = [one for one in found if one.embedded is not None]
    measured = [claim for claim in claims if claim.argument is None]
    columns = [list(_claim_cells(one, measured)) for one in shown]
    rows = tuple(
        (
            claim.id,
            (Cell(claim.sentence), *(column[number] for column in columns)),
        )
        for number, claim in enumerate(measured)
        if any(column[number].words != SILENT for column in columns)
    )
    cells = [cell for _, row in rows for cell in row[1:] if cell.words != SILENT]
    agreeing = sum(cell.kind == _AGREES for cell in cells)
    return Table(
        f"Where claims stand: {agreeing} of {len(cells)} answers agree",
        "claim",
        ("sentence", *(_heading(one) for one in shown)),
        rows,
    )


def cells_table(one: Beside) -> Table:
    """A record's cells: a row for each policy, a column for each way of each client.

    Raises:
        ValueError: nothing stands beside the record.
    """
    if one.pair is None or one.embedded is None:
        raise ValueError(f"nothing stands beside {one.record.file}")
    before, after = _outcomes(one.embedded), _outcomes(one.record.run)
    asked = [key for key in after if key in before]
    policies = dict.fromkeys(policy for policy, _, _ in asked)
    ways = sorted(dict.fromkeys((client, way) for _, client, way in asked))
    spans: defaultdict[str, int] = defaultdict(int)
    for client, _ in ways:
        spans[client] += 1
    return Table(
        f"Verdicts on {_name(one)}, beside the embedded testbed",
        "policy",
        tuple(way for _, way in ways),
        tuple(
            (
                policy,
                tuple(
                    _both(before.get((policy, *way), ()), after.get((policy, *way), ()))
                    for way in ways
                ),
            )
            for policy in policies
        ),
        tuple(Group(client, span) for client, span in spans.items()),
    )


def _both(before: Sequence[str], after: Sequence[str]) -> Cell:
    """One outcome where both sides have it, else each under its name."""
    if not before or not after:
        return Cell("not asked" if not (before or after) else "on one side only")
    if sorted(before) == sorted(after):
        return Cell("\n".join(map(marked, dict.fromkeys(after))), kind=_AGREES)
    told = (
        f"{side} {', '.join(map(marked, dict.fromkeys(some)))}"
        for side, some in (("embedded:", before), ("live:", after))
    )
    return Cell("\n".join(told), kind=_DIFFERS)


def _claim_cells(one: Beside, claims: Sequence[Claim]) -> Iterator[Cell]:
    sides = [
        [_status(entry.runs) for entry in statuses(claims, [run])]
        for run in (one.embedded, one.record.run)
        if run is not None
    ]
    for embedded, live in zip(*sides, strict=True):
        if live is None or embedded is None:
            yield Cell(SILENT)
        elif live is embedded:
            yield Cell(_marked(live), kind=_AGREES)
        else:
            words = f"embedded: {_marked(embedded)}\nlive: {_marked(live)}"
            yield Cell(words, kind=_DIFFERS)


def _status(runs: Sequence[RunStatus]) -> Status | None:
    return runs[0].status if runs and runs[0].tally.settled else None


def _marked(status: Status) -> str:
    return f"{STATUS_SYMBOLS[status]} {status}"


def _outcomes(run: Run) -> dict[tuple[str, str, str], list[str]]:
    """Policy, client and way -> outcomes, of several backends or ports together."""
    found: defaultdict[tuple[str, str, str], list[str]] = defaultdict(list)
    for cell in run.observations:
        found[cell.policy, cell.client, _target(cell)].append(cell.outcome)
    return dict(found)


def _target(cell: Observation) -> str:
    way = f"{cell.route}:{cell.dialled_node}" if cell.dialled_node else cell.route
    return f"{cell.service or cell.server}\n{way}"


def _way(cell: Observation) -> str:
    return f"{cell.client} to {_target(cell)}"


def _name(one: Beside) -> str:
    run = one.record.run
    return f"{title(run)}, {run.testbed}, {run.date or 'undated'}"


def _heading(one: Beside) -> str:
    run = one.record.run
    return f"{title(run)}\nsuite {run.suite}\n{run.testbed}, {(run.date or 'undated')[:10]}"
