"""The tables of the book: verdicts, seen addresses, documented and observed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby

from nodeport_lab.documented import (
    ASSUMED,
    Comparison,
    DocumentedOutcome,
    Foundation,
    comparisons,
)
from nodeport_lab.model import Direction, Observation, Run
from nodeport_lab.report.grid import Column, grid, rank
from nodeport_lab.report.seen import NOT_EVALUATED, direction, looking, seen_address
from nodeport_lab.report.table import Cell, Group, Note, Row, Table
from nodeport_lab.report.words import marked, provenance, title

_NOTHING = Cell("")


def verdict_table(run: Run, *, with_provenance: bool = False) -> Table:
    """What became of every connection, one row per policy.

    Without its provenance the table holds nothing that depends on the testbed, so that it
    can be compared between testbeds.
    """
    return _matrix(
        run,
        f"Verdicts on {title(run)}",
        lambda cell: Cell(marked(cell.outcome), kind=cell.outcome),
        (Note(provenance(run)),) if with_provenance else (),
    )


def seen_table(run: Run) -> Table:
    """What policy saw in every cell, and at which hook: the evidence.

    For policies of clients that is the destination, for those of the server the source.
    Policies under which it saw the same share a row; mostly all of them do.
    """
    what = "Source" if direction(run) is Direction.INGRESS else "Destination"
    table = _matrix(
        replace(run, observations=looking(run)),
        f"{what} that policy saw on {title(run)}",
        lambda cell: Cell(seen_address(cell) or NOT_EVALUATED, detail=cell.hook or ""),
        (Note(provenance(run)),),
    )
    return replace(table, rows=_merged(table.rows))


def documented_table(
    run: Run,
    documented: Sequence[DocumentedOutcome],
    groups: Mapping[str, str] | None = None,
) -> Table:
    """What was observed beside what is documented, with the sources.

    Args:
        run: the run.
        documented: what is documented.
        groups: client -> the heading under which its cells stand; None for one table of all.
    """
    found: defaultdict[tuple[str, str, str], list[Comparison]] = defaultdict(list)
    for comparison in comparisons(run, documented):
        cell = comparison.observation
        found[groups[cell.client] if groups else "", cell.policy, cell.target].append(comparison)
    numbers = _numbered(found.values())
    policies = dict.fromkeys(policy for _, policy, _ in found)
    columns = {
        group: sorted({target for other, _, target in found if other == group}, key=rank)
        for group in dict.fromkeys(group for group, _, _ in found)
    }
    return Table(
        caption=f"Observed and documented on {title(run)}",
        corner="policy",
        headings=tuple(target for targets in columns.values() for target in targets),
        groups=tuple(Group(group, len(targets)) for group, targets in columns.items() if group),
        rows=tuple(
            (
                policy,
                tuple(
                    _compared(found.get((group, policy, target), ()), numbers)
                    for group, targets in columns.items()
                    for target in targets
                ),
            )
            for policy in policies
        ),
        notes=tuple(_foundation(number, entry) for entry, number in numbers.items()),
    )


def _matrix(
    run: Run, caption: str, show: Callable[[Observation], Cell], notes: tuple[Note, ...]
) -> Table:
    cells = grid(run)
    return Table(
        caption=caption,
        corner="policy",
        headings=tuple(_heading(column) for column in cells.columns),
        groups=tuple(
            Group(f"{client} on {node}" if node else client, len(list(columns)))
            for (client, node), columns in groupby(
                cells.columns, key=lambda column: (column.client, column.client_node)
            )
        ),
        rows=tuple(
            (
                policy,
                tuple(
                    show(cells.cells[policy, column])
                    if (policy, column) in cells.cells
                    else _NOTHING
                    for column in cells.columns
                ),
            )
            for policy in cells.policies
        ),
        notes=notes,
    )


def _merged(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Rows with the same cells as one row, under all of their headings."""
    alike: defaultdict[tuple[Cell, ...], list[str]] = defaultdict(list)
    for heading, cells in rows:
        alike[cells].append(heading)
    return tuple(
        ("every policy" if len(alike) == 1 else "\n".join(headings), cells)
        for cells, headings in alike.items()
    )


def _heading(column: Column) -> str:
    return "\n".join(part for part in (column.target, column.node, column.extra) if part)


def _numbered(cells: Iterable[Sequence[Comparison]]) -> dict[Foundation, int]:
    """The foundations of the documented outcomes that apply, numbered as they appear."""
    entries = dict.fromkeys(
        comparison.documented.foundation
        for cell in cells
        for comparison in cell
        if comparison.documented
    )
    return {entry: number for number, entry in enumerate(entries, start=1)}


def _compared(cell: Sequence[Comparison], numbers: dict[Foundation, int]) -> Cell:
    if not cell:
        return _NOTHING
    outcomes = dict.fromkeys(marked(one.observation.outcome) for one in cell)
    stated = [one.documented for one in cell if one.documented]
    if not stated:
        return Cell("\n".join(outcomes), detail="undocumented", kind="untested")
    foundations = dict.fromkeys(one.foundation for one in stated)
    sources = " ".join(f"[{numbers[one]}]" for one in foundations)
    word = ASSUMED if ASSUMED in {one.words for one in foundations} else "documented"
    silent = sum(one.documented is None for one in cell)
    rest = f", {silent} of {len(cell)} undocumented" if silent else ""
    if all(one.agrees is not False for one in cell):
        return Cell("\n".join(outcomes), detail=f"{word} {sources}{rest}", kind="agrees")
    clients = dict.fromkeys(
        f"{marked(one.observation.outcome)} ({one.observation.client})" for one in cell
    )
    expected = " or ".join(dict.fromkeys(str(one.outcome) for one in stated))
    return Cell(
        "\n".join(outcomes if len(outcomes) == 1 else clients),
        detail=f"differs: {word} {expected} {sources}{rest}",
        kind="differs",
    )


def _foundation(number: int, entry: Foundation) -> Note:
    remark = f" {entry.note}" if entry.note else ""
    return Note(
        f"[{number}] {entry.words}; {entry.versions}.{remark}",
        tuple((source.name, source.url) for source in entry.sources),
    )
