"""What prose takes from a run: short texts under names that chapters refer to.

`{policy}/{target}` is what became of the connections of all clients to a target, and
`{policy}/nodeports` of those to any node; several outcomes are joined by "or". `seen/{target}`
is the destination that policy saw. A claim's status stands under its id, and under
`{id}/{run}` its status in one run.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from nodeport_lab.claims import ClaimStatus
from nodeport_lab.model import Observation, Run
from nodeport_lab.report import grid
from nodeport_lab.report.table import Cell, Table
from nodeport_lab.report.words import marked, title

CONTROL = "no-policy"


def verdict_values(run: Run, policies: Iterable[str]) -> dict[str, str]:
    """Name -> outcome, for the cells of some policies; nothing that depends on the testbed."""
    wanted = frozenset(policies)
    found: defaultdict[str, list[str]] = defaultdict(list)
    for cell in run.observations:
        if cell.policy in wanted:
            found[f"{cell.policy}/{cell.target}"].append(cell.outcome)
            if cell.relation:
                found[f"{cell.policy}/nodeports"].append(cell.outcome)
    return _joined(found, " or ")


def seen_values(run: Run) -> dict[str, str]:
    """Name -> address, for every target, as seen when no policy was there to decide."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for cell in run.observations:
        if cell.policy == CONTROL:
            found[f"seen/{cell.target}"].append(_seen(cell))
    return _joined(found, ", ")


def claim_values(statuses: Iterable[ClaimStatus]) -> dict[str, str]:
    """Name -> status, for every claim, as a whole and in each run that it speaks of."""
    values: dict[str, str] = {}
    for entry in statuses:
        values[entry.claim.id] = str(entry.status)
        for one in entry.runs:
            values[f"{entry.claim.id}/{title(one.run)}"] = str(one.status)
    return values


def summary_table(run: Run) -> Table:
    """What became of the connections, clients together: the verdict table, short."""
    cells = grid.summary(run)
    return Table(
        caption=f"Verdicts on {title(run)}, both clients together",
        corner="policy",
        headings=cells.targets,
        rows=tuple(
            (policy, tuple(_outcomes(cells.outcomes(policy, target)) for target in cells.targets))
            for policy in cells.policies
        ),
    )


def _outcomes(outcomes: Sequence[str]) -> Cell:
    """One cell; clients that disagree are both shown, and in no colour."""
    kind = outcomes[0] if len(outcomes) == 1 else ""
    return Cell("\n".join(marked(outcome) for outcome in outcomes), kind=kind)


def _seen(cell: Observation) -> str:
    return cell.seen_destination or "not recorded"


def _joined(found: dict[str, list[str]], word: str) -> dict[str, str]:
    """The different texts under each name, in a fixed order."""
    return {name: word.join(sorted(set(texts))) for name, texts in found.items()}
