"""The shape that every table and figure shares: policies by ways to reach the server.

A `Grid` has one column per cell of a matrix and loses nothing. A `Summary` puts the
clients, and the nodes that hosted neither side, into one column per target.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from nodeport_lab.errors import LabError
from nodeport_lab.model import Observation, Relation, Run
from nodeport_lab.report.words import in_order, title

CONTROL = "no-policy"
TARGETS = (*map(str, Relation), "cluster-ip", "pod-ip", "load-balancer", "external-ip")


@dataclass(frozen=True, slots=True)
class Column:
    """One way of one client to one server. `extra` tells apart what else looks alike."""

    client: str
    client_node: str | None
    target: str
    node: str | None
    extra: str = ""


@dataclass(frozen=True, slots=True)
class Grid:
    """The cells of one run: one row per policy, one column per client and target."""

    policies: tuple[str, ...]
    columns: tuple[Column, ...]
    cells: Mapping[tuple[str, Column], Observation]


@dataclass(frozen=True, slots=True)
class Summary:
    """The cells of one run: one row per policy, one column per target, clients together."""

    policies: tuple[str, ...]
    targets: tuple[str, ...]
    cells: Mapping[tuple[str, str], tuple[Observation, ...]]

    def outcomes(self, policy: str, target: str) -> tuple[str, ...]:
        """The different outcomes of a cell in the order of their symbols; several disagree."""
        return in_order(cell.outcome for cell in self.cells.get((policy, target), ()))


def grid(run: Run) -> Grid:
    """Arrange the observations of a run, one in each cell.

    Two Services lead to the same pods, so that a pod's address is asked for twice: one cell
    as long as the answers are the same.

    Raises:
        LabError: two observations of the same cell differ.
    """
    plain = dict.fromkeys(_column(cell) for cell in run.observations)
    extras = _extras(run.observations)
    cells: dict[tuple[str, Column], Observation] = {}
    for cell in run.observations:
        key = (cell.policy, replace(_column(cell), extra=extras[_identity(cell)]))
        if key in cells and _answer(cells[key]) != _answer(cell):
            raise LabError(
                f"the run of {title(run)} has two observations of {cell.client} to "
                f"{cell.target} under {cell.policy} that differ; give each experiment a run "
                "of its own"
            )
        cells[key] = cell
    clients = list(dict.fromkeys(column.client for column in plain))
    columns = dict.fromkeys(column for _, column in cells)
    return Grid(
        policies=_policies(run),
        columns=tuple(
            sorted(columns, key=lambda one: (clients.index(one.client), rank(one.target)))
        ),
        cells=cells,
    )


def summary(run: Run) -> Summary:
    """Arrange the observations of a run with all clients together."""
    cells: defaultdict[tuple[str, str], tuple[Observation, ...]] = defaultdict(tuple)
    for cell in run.observations:
        cells[cell.policy, cell.target] += (cell,)
    targets = dict.fromkeys(cell.target for cell in run.observations)
    return Summary(_policies(run), tuple(sorted(targets, key=rank)), dict(cells))


def outcomes(runs: Iterable[Run]) -> tuple[str, ...]:
    """The outcomes that appear in runs, in the order of their symbols."""
    return in_order(cell.outcome for run in runs for cell in run.observations)


def _policies(run: Run) -> tuple[str, ...]:
    return tuple(dict.fromkeys(cell.policy for cell in run.observations))


def rank(target: str) -> int:
    """Nodes first, near to far, then the other routes; what is not known comes last."""
    return TARGETS.index(target) if target in TARGETS else len(TARGETS)


def _column(cell: Observation) -> Column:
    return Column(cell.client, cell.client_node, cell.target, cell.dialled_node)


def _identity(cell: Observation) -> tuple[str, ...]:
    """What makes a column a column of its own."""
    names = (cell.namespace, cell.client, cell.client_node, cell.server)
    way = (
        cell.route,
        cell.dialled_node,
        cell.service,
        cell.protocol,
        cell.port,
        _pod_dialled(cell),
    )
    return tuple(map(str, (*names, *way)))


def _pod_dialled(cell: Observation) -> str | None:
    """Where the pod runs whose own address was dialled; behind a Service it may be any."""
    return cell.backend_node if cell.route == "pod-ip" else None


def _answer(cell: Observation) -> tuple[str | None, ...]:
    return (cell.outcome, cell.seen_destination, cell.hook)


def _extras(cells: Iterable[Observation]) -> dict[tuple[str, ...], str]:
    """Per column, what sets it apart from columns with the same heading; mostly nothing."""
    alike: defaultdict[Column, dict[tuple[str, ...], tuple[str, ...]]] = defaultdict(dict)
    for cell in cells:
        alike[_column(cell)][_identity(cell)] = (
            f"from {cell.namespace}",
            f"to {cell.server}",
            f"by {cell.service}",
            f"{cell.protocol} {cell.port}",
            f"at {_pod_dialled(cell)}",
        )
    return {
        identity: " ".join(
            part
            for position, part in enumerate(parts)
            if len({other[position] for other in group.values()}) > 1
        )
        for group in alike.values()
        for identity, parts in group.items()
    }
