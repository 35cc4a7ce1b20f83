"""The report's table for a terminal, readable at 80 columns, and what it means in one line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Group
from rich.table import Table
from rich.text import Text

from nodeport_lab.model import Observation, Run
from nodeport_lab.report.dependence import compared, dependence
from nodeport_lab.report.grid import Summary, outcomes, summary
from nodeport_lab.report.words import SYMBOLS, evidence, marked, options, title

STYLES = {
    "allowed": "green",
    "timeout": "red",
    "refused": "magenta",
    "no path": "dim",
    "error": "bold yellow",
}
_NAMED = 6  # runs that the closing line names one by one
_GAP = 1  # between the symbols of one run
_SEPARATION = 2  # between columns of the table


def report(runs: Sequence[Run], width: int = 80) -> Group:
    """The table of the given runs: in words for one run, in symbols side by side for more.

    All clients stand in one column per target; where they disagree, lines below say so.
    Tables follow each other if the runs are wider than `width` together.
    """
    summaries = [summary(run) for run in runs]
    if len(runs) == 1:
        tables = [_in_words(runs[0], summaries[0])]
    else:
        pairs = list(zip(runs, summaries, strict=True))
        tables = [_in_symbols(part) for part in _fitting(pairs, width)] if pairs else []
    remarks = list(_disagreements(runs, summaries))
    if len(runs) > 1:
        remarks.insert(0, _legend(runs))
    parts: list[Table | Text] = [part for table in tables for part in (table, Text())]
    return Group(*parts, *remarks)


def closing_line(runs: Sequence[Run]) -> str:
    """What the table means, computed from the runs, and how to see more."""
    found = compared(runs)
    if not found:
        return "No NodePort was dialled on more than one node, so nothing can be said about that."
    if len(found) > _NAMED:
        changed = sum(bool(which.dependent) for _, which in found)
        return (
            f"Which node's NodePort is dialled changes the answer in {changed} of "
            f"{len(found)} runs. What policy saw, packet by packet: nodeport-lab run --json -"
        )
    return f"{dependence(found)} What policy saw, packet by packet: nodeport-lab run --json -"


def _in_words(run: Run, cells: Summary) -> Table:
    table = Table(title=f"{title(run)}, {evidence(run)}", box=None, title_justify="left")
    table.add_column("policy", no_wrap=True)
    for target in cells.targets:
        table.add_column(target)
    for policy in cells.policies:
        table.add_row(
            policy,
            *(
                Text("\n").join(Text(marked(one), STYLES[one]) for one in answers)
                for answers in (cells.outcomes(policy, target) for target in cells.targets)
            ),
        )
    return table


def _in_symbols(pairs: Sequence[tuple[Run, Summary]]) -> Table:
    table = Table(box=None, padding=(0, _SEPARATION, 0, 0), pad_edge=False)
    table.add_column("policy", no_wrap=True, vertical="bottom")
    for run, cells in pairs:
        table.add_column(_run_heading(run, cells), no_wrap=True, vertical="bottom")
    for policy in dict.fromkeys(policy for _, cells in pairs for policy in cells.policies):
        table.add_row(policy, *(_symbols(policy, cells) for _, cells in pairs))
    return table


def _run_heading(run: Run, cells: Summary) -> Text:
    """What the run is, line by line, then a pair of lines that names each target."""
    names = [name for name in (run.dataplane, options(run), evidence(run)) if name]
    halves = [target.partition("-") for target in cells.targets]
    upper = "".join(
        first.ljust(_slot(target))
        for target, (first, _, _) in zip(cells.targets, halves, strict=True)
    )
    lower = "".join(
        second.ljust(_slot(target))
        for target, (_, _, second) in zip(cells.targets, halves, strict=True)
    )
    return Text("\n".join((*names, upper.rstrip(), lower.rstrip())))


def _symbols(policy: str, cells: Summary) -> Text:
    line = Text()
    for target in cells.targets:
        answers = cells.outcomes(policy, target)
        for outcome in answers:
            line.append(SYMBOLS[outcome], STYLES[outcome])
        line.append(" " * (_slot(target) - len(answers)))
    line.rstrip()
    return line


def _slot(target: str) -> int:
    """The width of a target's place, wide enough for either half of its name."""
    return max(len(part) for part in target.split("-")) + _GAP


def _fitting(
    pairs: Sequence[tuple[Run, Summary]], width: int
) -> Iterable[Sequence[tuple[Run, Summary]]]:
    """The runs in parts whose tables are no wider than `width`; at least one in each."""
    names = max((len(policy) for _, cells in pairs for policy in cells.policies), default=0)
    part: list[tuple[Run, Summary]] = []
    used = names + _SEPARATION
    for run, cells in pairs:
        slots = sum(_slot(target) for target in cells.targets) - _GAP
        wide = max(slots, len(run.dataplane), len(options(run))) + _SEPARATION
        if part and used + wide > width + _SEPARATION:
            yield part
            part, used = [], names + _SEPARATION
        part.append((run, cells))
        used += wide
    yield part


def _disagreements(runs: Sequence[Run], summaries: Sequence[Summary]) -> Iterable[Text]:
    """One line for each cell in which clients, or nodes of one kind, got different answers."""
    for run, cells in zip(runs, summaries, strict=True):
        for (policy, target), found in cells.cells.items():
            if len(cells.outcomes(policy, target)) > 1:
                answers = ", ".join(f"{_way(one)} {marked(one.outcome)}" for one in found)
                yield Text(f"{title(run)}, {policy}, {target}: {answers}")


def _way(cell: Observation) -> str:
    return f"{cell.client} to {cell.dialled_node}" if cell.dialled_node else cell.client


def _legend(runs: Iterable[Run]) -> Text:
    return Text("   ").join(Text(marked(outcome), STYLES[outcome]) for outcome in outcomes(runs))
