"""What one thing changes: runs beside a run that differs from them in that thing alone.

Two runs ask the same question where policy, client, route and dialled node are the same;
how the node relates to the server may have changed with the server's place.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nodeport_lab.model import Observation, Run
from nodeport_lab.report.grid import CONTROL, outcomes, rank, summary
from nodeport_lab.report.table import Cell, Group, Note, Table
from nodeport_lab.report.words import SYMBOLS, changed_options, in_order, listed, marked
from nodeport_lab.variations import BACKEND

NO_PATH = "no path"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A run beside the one that it is compared with; the label says what differs."""

    label: str
    before: Run
    after: Run


@dataclass(frozen=True, slots=True)
class Change:
    """Under one policy, what became of the connections to one target; `who` if not of all."""

    policy: str
    target: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    who: tuple[str, ...]

    def words(self, *, symbols: bool = False) -> str:
        """`timeout → allowed`, or the same in symbols."""
        sides = (
            " or ".join(SYMBOLS[one] if symbols else one for one in side)
            for side in (self.before, self.after)
        )
        return " → ".join(sides)


def comparisons(runs: Sequence[Run]) -> tuple[Comparison, ...]:
    """Every further run beside the first, labelled by what is not at its default."""
    before, *rest = runs
    return tuple(Comparison(changed_options(after), before, after) for after in rest)


def changes(pair: Comparison) -> tuple[Change, ...]:
    """What differs, in the order of policies and from near to far.

    A connection that has no path, or has one now, is told once, without a policy.
    """
    before, after = _answers(pair.before), _answers(pair.after)
    asked: defaultdict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)
    found: defaultdict[tuple[str, str, tuple[str, ...], tuple[str, ...]], set[tuple[str, str]]]
    found = defaultdict(set)
    for question, (target, now) in after.items():
        if question in before:
            policy, client, _, node = question
            asked[policy, target].add((client, node))
            then = before[question][1]
            if then != now and (policy == CONTROL or NO_PATH not in {*then, *now}):
                found[policy, target, then, now].add((client, node))
    policies = list(dict.fromkeys(cell.policy for cell in pair.after.observations))
    return tuple(
        Change(policy, target, then, now, _who(askers, asked[policy, target]))
        for (policy, target, then, now), askers in sorted(
            found.items(), key=lambda one: (policies.index(one[0][0]), rank(one[0][1]), one[0][2:])
        )
    )


def count(pair: Comparison) -> tuple[int, int]:
    """How many connections came out differently, and how many were compared."""
    before, after = _answers(pair.before), _answers(pair.after)
    common = before.keys() & after.keys()
    return sum(before[one][1] != after[one][1] for one in common), len(common)


def changes_table(pairs: Sequence[Comparison], caption: str, corner: str) -> Table:
    """A row for each comparison, a column for each policy under which anything changes."""
    policies = dict.fromkeys(cell.policy for pair in pairs for cell in pair.after.observations)
    changed = {one.policy for pair in pairs for one in changes(pair)}
    shown = tuple(policy for policy in policies if policy in changed)
    others = [policy for policy in policies if policy not in changed]
    legend = Note("   ".join(marked(one) for one in _outcomes(pairs)))
    nothing = Note(f"Nothing changes under {listed(others)}.")
    return Table(
        caption=caption,
        corner=corner,
        headings=("connections changed", *shown),
        rows=tuple((pair.label, tuple(_row(pair, shown))) for pair in pairs),
        notes=tuple(note for note, wanted in ((legend, shown), (nothing, others)) if wanted),
    )


def change_values(pairs: Iterable[Comparison]) -> dict[str, str]:
    """Name -> what prose takes: how much a thing changes, and each change."""
    values: dict[str, str] = {}
    for pair in pairs:
        changed, of = count(pair)
        values[f"{pair.label}/changed"] = f"{changed or 'none'} of {of}"
        for one in changes(pair):
            name = f"{pair.label}/{one.policy}/{one.target}"
            values[name] = " and ".join(filter(None, (values.get(name), one.words())))
    return values


def placement_table(runs: Sequence[Run]) -> Table:
    """Verdicts with the server in several places: a part for each, all clients together."""
    summaries = [summary(run) for run in runs]
    policies = tuple(dict.fromkeys(policy for cells in summaries for policy in cells.policies))
    return Table(
        caption=f"Verdicts on {runs[0].dataplane}, by place of the server",
        corner="policy",
        headings=tuple(target for cells in summaries for target in cells.targets),
        groups=tuple(
            Group(_place(run), len(cells.targets))
            for run, cells in zip(runs, summaries, strict=True)
        ),
        rows=tuple(
            (
                policy,
                tuple(
                    outcome_cell(cells.outcomes(policy, target))
                    for cells in summaries
                    for target in cells.targets
                ),
            )
            for policy in policies
        ),
    )


def outcome_cell(found: Sequence[str]) -> Cell:
    """Outcomes in one cell; clients that disagree are both shown, and in no colour."""
    return Cell("\n".join(map(marked, found)), kind=found[0] if len(found) == 1 else "")


def _row(pair: Comparison, policies: Sequence[str]) -> Iterable[Cell]:
    changed, of = count(pair)
    yield Cell(f"{changed or 'none'} of {of}", kind="refined" if changed else "")
    found = changes(pair)
    for policy in policies:
        lines = [_line(one) for one in found if one.policy == policy]
        yield Cell("\n".join(lines) or "same", kind="refined" if lines else "")


def _outcomes(pairs: Iterable[Comparison]) -> tuple[str, ...]:
    return outcomes([run for pair in pairs for run in (pair.before, pair.after)])


def _line(one: Change) -> str:
    who = f" ({listed(one.who)})" if one.who else ""
    return f"{one.target}{who}: {one.words(symbols=True)}"


def _who(changed: set[tuple[str, str]], asked: set[tuple[str, str]]) -> tuple[str, ...]:
    """Nobody where all who asked are meant; clients, with the node where they had several."""
    if changed == asked:
        return ()
    names = set()
    for client, node in changed:
        mine = {one for one in asked if one[0] == client}
        names.add(client if mine <= changed else f"{client} to {node}")
    return tuple(sorted(names))


def _answers(
    run: Run,
) -> dict[tuple[str, str, str, str], tuple[str, tuple[str, ...]]]:
    """Question -> target, and the different outcomes in the order of their symbols."""
    cells: defaultdict[tuple[str, str, str, str], list[Observation]] = defaultdict(list)
    for cell in run.observations:
        cells[cell.policy, cell.client, cell.route, cell.dialled_node or ""].append(cell)
    return {
        question: (
            found[0].target,
            in_order(cell.outcome for cell in found),
        )
        for question, found in cells.items()
    }


def _place(run: Run) -> str:
    nodes = sorted({cell.backend_node for cell in run.observations if cell.backend_node})
    return f"{run.options.get(BACKEND, 'as-placed')}: server on {listed(nodes)}"
