"""The tables of claims: where each stands, on which basis, in which configurations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from nodeport_lab.claims import ClaimStatus, Report, RunStatus, Status, Tally
from nodeport_lab.report.table import Cell, Table
from nodeport_lab.report.words import title

STATUS_SYMBOLS = {
    Status.CONFIRMED: "✓",
    Status.REFUTED: "✗",
    Status.REFINED: "◐",
    Status.UNTESTED: "?",
}

_FEW = 3  # configurations of a dataplane that are told one by one


def claims_table(statuses: Iterable[ClaimStatus]) -> Table:
    """Every claim with its status, its basis, and what it rests on."""
    return Table(
        caption="The report's claims",
        corner="claim",
        headings=("the report says", "status", "by configuration"),
        rows=tuple(
            (
                entry.claim.id,
                (Cell(entry.claim.sentence, detail=_remarks(entry)), *_standing(entry)),
            )
            for entry in statuses
        ),
    )


def ledger_table(statuses: Iterable[ClaimStatus], report: Report, runs: str) -> Table:
    """Every claim with who makes it, where it stands, and the runs that show it.

    Args:
        statuses: of the report's claims and of others.
        report: who makes a claim that names no source.
        runs: the folder of the runs' pages, seen from the page that shows the table.
    """
    return Table(
        caption="Every claim, who makes it, and where it stands",
        corner="claim",
        headings=("what is said", "status", "by configuration", "experiment"),
        rows=tuple(
            (
                entry.claim.id,
                (
                    Cell(entry.claim.sentence, detail=_remarks(entry), links=_said(entry, report)),
                    *_standing(entry),
                    Cell(
                        entry.claim.experiment,
                        links=tuple((run, f"{runs}/{run}.html") for run in entry.claim.runs),
                    ),
                ),
            )
            for entry in statuses
        ),
    )


def configurations(entries: Sequence[RunStatus]) -> tuple[str, ...]:
    """Where a claim stands in each run, in words.

    Of a dataplane in many configurations those with the same status share a line. It names
    the options that all of them set to fewer values than the dataplane's runs had.
    """
    lines: list[str] = []
    places: defaultdict[tuple[str, str], list[RunStatus]] = defaultdict(list)
    for entry in entries:
        places[entry.run.dataplane, entry.run.testbed].append(entry)
    for found in places.values():
        if len(found) <= _FEW:
            lines += [_line(title(one.run), one.status, [one]) for one in found]
            continue
        alike: defaultdict[Status, list[RunStatus]] = defaultdict(list)
        for one in found:
            alike[one.status].append(one)
        for status, some in alike.items():
            shared = _shared(some, found)
            name = f"{found[0].run.dataplane}{f' ({shared})' if shared else ''}"
            share = f"{len(some)} of {len(found)} configurations"
            lines.append(_line(f"{name}, {share}", status, some))
    return tuple(lines)


def _said(entry: ClaimStatus, report: Report) -> tuple[tuple[str, str], ...]:
    sources = tuple((source.name, source.url) for source in entry.claim.sources)
    return sources or ((f"the report, after {report.retells}", report.url),)


def _remarks(entry: ClaimStatus) -> str:
    claim = entry.claim
    remarks = claim.argument.because if claim.argument else claim.note
    needs = f"Needs: {claim.needs}" if claim.needs else ""
    return "\n".join(part for part in (remarks, needs) if part)


def _standing(entry: ClaimStatus) -> tuple[Cell, Cell]:
    return (
        Cell(
            f"{STATUS_SYMBOLS[entry.status]} {entry.status}",
            detail=", ".join(entry.basis),
            kind=str(entry.status),
        ),
        Cell("\n".join(configurations(entry.runs))),
    )


def _line(name: str, status: Status, entries: Sequence[RunStatus]) -> str:
    tally = _sum([entry.tally for entry in entries])
    silent = f", {tally.silent} silent" if tally.silent else ""
    counts = f" ({tally.as_claimed} of {tally.settled} as claimed{silent})"
    testbed = entries[0].run.testbed
    where = "" if testbed == "embedded" else f" on {testbed}"
    return f"{name}{where}: {status}{counts if tally.settled or silent else ''}"


def _sum(tallies: Sequence[Tally]) -> Tally:
    return Tally(
        sum(one.as_claimed for one in tallies),
        sum(one.contrary for one in tallies),
        sum(one.silent for one in tallies),
    )


def _shared(some: Sequence[RunStatus], everything: Sequence[RunStatus]) -> str:
    """The options that some runs do not set to every value that all of them together had."""
    here, anywhere = _values(some), _values(everything)
    return ", ".join(
        f"{name}={' or '.join(values)}" for name, values in here.items() if values != anywhere[name]
    )


def _values(entries: Iterable[RunStatus]) -> Mapping[str, tuple[str, ...]]:
    found: defaultdict[str, set[str]] = defaultdict(set)
    for entry in entries:
        for name, value in entry.run.options.items():
            found[name].add(value)
    return {name: tuple(sorted(values)) for name, values in found.items()}
