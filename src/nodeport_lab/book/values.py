"""What prose takes from a run: short texts under names that chapters refer to.

`{policy}/{target}` is what became of the connections of all clients to a target, and
`{policy}/nodeports` of those to any node; several outcomes are joined by "or". `seen/{target}`
is the destination that policy saw. A claim's status stands under its id, and under
`{id}/{run}` its status in one configuration; `claims/{status}` and `claims/{status}/ids` say how
many claims have it, and which. `{policy}/{clients}/{target}` is what became of the connections of
some clients, `seen/{clients}/{target}` what policy saw of them, in words, and `nodes/{clients}`
says under how many policies the node that they dial decides.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from nodeport_lab.claims import ClaimStatus, Status
from nodeport_lab.model import Observation, Run
from nodeport_lab.report import dependence, grid
from nodeport_lab.report.atlas import Part, node_dependence
from nodeport_lab.report.changes import outcome_cell
from nodeport_lab.report.grid import CONTROL
from nodeport_lab.report.seen import NOT_EVALUATED
from nodeport_lab.report.table import Table
from nodeport_lab.report.words import listed, title
from nodeport_lab.variations import BACKEND


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


def answer_values(part: Part, clients: str, policies: Iterable[str]) -> dict[str, str]:
    """Name -> outcome, for clients of a kind, all places together unless one is named."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    wanted = frozenset(policies)
    for (policy, way), outcomes in part.answers.items():
        if policy in wanted and clients in {way.kind.who, str(way.kind)}:
            found[f"{policy}/{clients}/{way.target}"] += outcomes
    values = _joined(found, " or ")
    compared = node_dependence(part, clients)
    values[f"nodes/{clients}"] = f"{len(compared.dependent) or 'none'} of {len(compared.policies)}"
    return values


def seen_names(part: Part, clients: str) -> dict[str, str]:
    """Name -> what policy saw, in words, for clients of a kind."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for way, names in part.seen.items():
        if clients in {way.kind.who, str(way.kind)}:
            found[f"seen/{clients}/{way.target}"] += names
    return _joined(found, " or ")


def shared_values(parts: Iterable[Part], clients: str, policies: Sequence[str]) -> dict[str, str]:
    """Name -> outcome, under each dataplane's name, and `{policy}` for all ways on all of them."""
    values: dict[str, str] = {}
    together: defaultdict[str, list[str]] = defaultdict(list)
    for part in parts:
        for name, outcome in answer_values(part, clients, policies).items():
            values[f"{part.dataplane}/{name}"] = outcome
        for (policy, way), outcomes in part.answers.items():
            if clients in {way.kind.who, str(way.kind)}:
                together[policy] += outcomes
    return values | _joined(together, " or ")


def dependence_values(runs: Iterable[Run]) -> dict[str, str]:
    """Name -> under how many policies the node dialled decides, with the server in each place."""
    values = {}
    for run in runs:
        compared = dependence.node_dependence(run)
        values[f"{run.options.get(BACKEND, '')}/nodes"] = (
            f"{len(compared.dependent) or 'none'} of {len(compared.policies)}"
        )
    return values


def claim_values(statuses: Iterable[ClaimStatus]) -> dict[str, str]:
    """Name -> status of every claim, and how many claims have each status, and which."""
    found = tuple(statuses)
    values: dict[str, str] = {
        "claims": str(len(found)),
        "claims/measured": str(sum(bool(entry.runs) for entry in found)),
    }
    for status in Status:
        ids = [entry.claim.id for entry in found if entry.status is status]
        values |= {f"claims/{status}": str(len(ids)), f"claims/{status}/ids": listed(ids) or "none"}
    return values | status_values(found)


def status_values(statuses: Iterable[ClaimStatus]) -> dict[str, str]:
    """Id -> status of every claim.

    A claim of the report that holds in some configurations has its status in each of them too.
    """
    values: dict[str, str] = {}
    for entry in statuses:
        values[entry.claim.id] = str(entry.status)
        if entry.status is Status.REFINED and not entry.claim.sources:
            values |= {f"{entry.claim.id}/{title(one.run)}": str(one.status) for one in entry.runs}
    return values


def summary_table(run: Run) -> Table:
    """What became of the connections, clients together: the verdict table, short."""
    cells = grid.summary(run)
    return Table(
        caption=f"Verdicts on {title(run)}, both clients together",
        corner="policy",
        headings=cells.targets,
        rows=tuple(
            (
                policy,
                tuple(outcome_cell(cells.outcomes(policy, target)) for target in cells.targets),
            )
            for policy in cells.policies
        ),
    )


def _seen(cell: Observation) -> str:
    return cell.seen_destination or NOT_EVALUATED


def _joined(found: dict[str, list[str]], word: str) -> dict[str, str]:
    """The different texts under each name, in a fixed order."""
    return {name: word.join(sorted(set(texts))) for name, texts in found.items()}
