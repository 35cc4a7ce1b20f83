"""A comparison told to people, on a terminal and as the text of an issue, and to programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from nodeport_lab.model import Observation, Run
from nodeport_lab.records.comparison import Comparison, Pair
from nodeport_lab.records.files import Record
from nodeport_lab.report.words import listed, title

_INDENT = (0, 0, 0, 2)


def on_terminal(found: Comparison) -> Group:
    """Pair after pair: which records, what their versions are, which cells differ."""
    parts: list[RenderableType] = []
    for pair in found.pairs:
        parts += [*_pair_shown(pair), Text()]
    for side, records in (("A", found.only_before), ("B", found.only_after)):
        parts += [Text(f"Only in {side}: {_record(record)}") for record in records]
    parts += [
        Text(f"Left out, as another record of it counts: {record.file.name}", "dim")
        for record in found.older
    ]
    return Group(*parts, Text(closing_line(found)))


def closing_line(found: Comparison) -> str:
    """How much was compared, differs and stands on one side only, in one sentence."""
    compared = sum(pair.compared for pair in found.pairs)
    runs = len(found.only_before) + len(found.only_after)
    cells = found.one_sided - runs
    return (
        f"{_number(len(found.pairs), 'pair')} of runs: {found.differences or 'none'} of "
        f"{_number(compared, 'cell')} differ; {_number(cells, 'more cell')} and "
        f"{_number(runs, 'run')} are on one side only."
    )


def as_json(found: Comparison) -> dict[str, Any]:
    """The comparison as plain JSON values; sides are `a` and `b`."""
    return {
        "compared": sum(pair.compared for pair in found.pairs),
        "differing": found.differences,
        "pairs": [
            {
                "a": _record_json(pair.before),
                "b": _record_json(pair.after),
                "compared": pair.compared,
                "differing": [
                    {
                        "cell": _cell_json(one.before),
                        "changes": {
                            change.what: {"a": change.before, "b": change.after}
                            for change in one.changes
                        },
                    }
                    for one in pair.differences
                ],
                "only_a": [_cell_json(cell) for cell in pair.only_before],
                "only_b": [_cell_json(cell) for cell in pair.only_after],
            }
            for pair in found.pairs
        ],
        "only_a": [_record_json(record) for record in found.only_before],
        "only_b": [_record_json(record) for record in found.only_after],
        "left_out": [str(record.file) for record in found.older],
    }


def as_issue(found: Comparison) -> str:
    """The text of an issue about the cells that differ, in GitHub's Markdown."""
    lines = [
        "Answers changed between two records of `nodeport-lab`.",
        "",
        closing_line(found),
    ]
    for pair in found.pairs:
        if pair.differences or pair.only_before or pair.only_after:
            lines += ["", *_pair_issue(pair)]
    for side, records in (("A", found.only_before), ("B", found.only_after)):
        lines += [line for record in records for line in ("", f"Only in {side}: {_record(record)}")]
    lines += [
        "",
        (
            "A cell that differs is a changed answer, a difference of the clusters, or a fault of "
            "the lab. To look closer: `nodeport-lab compare A B` with the attached records."
        ),
    ]
    return "\n".join(lines) + "\n"


def cell_words(cell: Observation) -> str:
    """A cell as people name it: `client-a to hello by nodeport:dev-worker under both`."""
    way = f"{cell.route}:{cell.dialled_node}" if cell.dialled_node else cell.route
    return f"{cell.client} to {cell.service or cell.server} by {way} under {cell.policy}"


def versions_words(run: Run) -> str:
    """Every version of a run on one line."""
    return ", ".join(f"{name} {version}" for name, version in sorted(run.versions.items()))


def _pair_shown(pair: Pair) -> Iterator[RenderableType]:
    yield Text(f"{title(pair.before.run)}, suite {pair.before.run.suite}", "bold")
    for side, record in (("A", pair.before), ("B", pair.after)):
        yield Text(f"  {side}  {_origin(record)}")
    changed = _changed_versions(pair)
    if changed:
        yield Text(f"  Versions that differ: {', '.join(changed)}")
    if pair.differences:
        table = Table(box=None, pad_edge=False)
        for heading in ("policy", "client", "to", "what", "A", "B"):
            table.add_column(heading)
        for row in _rows(pair):
            table.add_row(*map(Text, row))
        yield Padding(table, _INDENT)
    count = len(pair.differences) or "None"
    yield Text(f"  {count} of {_number(pair.compared, 'cell')} differ.")
    for side, cells in (("A", pair.only_before), ("B", pair.only_after)):
        for line in _one_sided(cells):
            yield Text(f"  Only in {side}: {line}")


def _pair_issue(pair: Pair) -> Iterator[str]:
    yield f"### {title(pair.before.run)}, suite {pair.before.run.suite}"
    yield ""
    for side, record in (("A", pair.before), ("B", pair.after)):
        yield f"- {side}: {_origin(record)}; {versions_words(record.run)}"
    if pair.differences:
        yield ""
        yield "| policy | client | to | what | A | B |"
        yield "| --- | --- | --- | --- | --- | --- |"
        for row in _rows(pair):
            yield f"| {' | '.join(_escaped(text) for text in row)} |"
    for side, cells in (("A", pair.only_before), ("B", pair.only_after)):
        if cells:
            yield ""
            yield f"Only in {side}:"
            yield ""
            yield from (f"- {line}" for line in _one_sided(cells))


def _rows(pair: Pair) -> Iterator[tuple[str, ...]]:
    """A line for each change; the cell is named in its first."""
    for one in pair.differences:
        cell = one.before
        way = f"{cell.route}:{cell.dialled_node}" if cell.dialled_node else cell.route
        names = (cell.policy, cell.client, f"{cell.service or cell.server} by {way}")
        for change in one.changes:
            yield (*names, change.what, change.before, change.after)
            names = ("", "", "")


def _one_sided(cells: Sequence[Observation]) -> Iterator[str]:
    """Cells by client and way, with the policies under which only one side has them."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for cell in cells:
        way = f"{cell.route}:{cell.dialled_node}" if cell.dialled_node else cell.route
        found.setdefault((cell.client, cell.service or cell.server, way), []).append(cell.policy)
    for (client, server, way), policies in found.items():
        yield f"{client} to {server} by {way} under {listed(dict.fromkeys(policies))}"


def _changed_versions(pair: Pair) -> list[str]:
    old, new = pair.before.run.versions, pair.after.run.versions
    return [
        f"{name} {old.get(name, 'not noted')} → {new.get(name, 'not noted')}"
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    ]


def _record(record: Record) -> str:
    return f"{title(record.run)}, suite {record.run.suite}, {_origin(record)}"


def _origin(record: Record) -> str:
    return f"{record.run.testbed}, {record.run.date or 'no date'}, {record.file.name}"


def _record_json(record: Record) -> dict[str, Any]:
    run = record.run
    return {
        "file": str(record.file),
        "testbed": run.testbed,
        "dataplane": run.dataplane,
        "options": run.options,
        "suite": run.suite,
        "basis": run.basis,
        "date": run.date,
        "versions": run.versions,
    }


def _cell_json(cell: Observation) -> dict[str, str | None]:
    return {
        "policy": cell.policy,
        "direction": str(cell.direction),
        "namespace": cell.namespace,
        "client": cell.client,
        "client_node": cell.client_node,
        "server": cell.server,
        "service": cell.service,
        "protocol": str(cell.protocol),
        "route": cell.route,
        "dialled_node": cell.dialled_node,
    }


def _number(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")
