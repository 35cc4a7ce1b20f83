"""Whether the node dialled decides what becomes of a NodePort connection, and how that is said."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nodeport_lab.model import Observation, Run, Verdict
from nodeport_lab.report.grid import CONTROL
from nodeport_lab.report.words import listed, title


@dataclass(frozen=True, slots=True)
class NodeDependence:
    """Under which policies the node dialled decides what becomes of a NodePort connection.

    `policies` are those under which a client tried more than one node and got answers;
    `dependent` are those of them where its answers differed.
    """

    policies: tuple[str, ...]
    dependent: tuple[str, ...]


def node_dependence(run: Run) -> NodeDependence:
    """Find the policies under which a client's answer depends on the node it dials."""
    answers: defaultdict[str, defaultdict[tuple[str, ...], list[str]]]
    answers = defaultdict(lambda: defaultdict(list))
    for cell in run.observations:
        counts = cell.control is Verdict.ALLOWED and cell.verdict is not Verdict.ERROR
        if cell.relation and cell.policy != CONTROL and counts:
            answers[cell.policy][_same_but_for_the_node(cell)].append(cell.outcome)
    compared = {
        policy: [found for found in by_client.values() if len(found) > 1]
        for policy, by_client in answers.items()
    }
    return NodeDependence(
        policies=tuple(policy for policy, found in compared.items() if found),
        dependent=tuple(
            policy for policy, found in compared.items() if any(len(set(one)) > 1 for one in found)
        ),
    )


def compared(runs: Iterable[Run]) -> list[tuple[str, NodeDependence]]:
    """The runs in which NodePorts of several nodes were compared, by title."""
    found = ((title(run), node_dependence(run)) for run in runs)
    return [(name, which) for name, which in found if which.policies]


def dependence(found: Sequence[tuple[str, NodeDependence]]) -> str:
    """Under how many policies the node dialled matters, on each of the named dataplanes."""
    policies = "policy" if len(found[0][1].policies) == 1 else "policies"
    parts = [
        f"under {len(which.dependent) or 'none'} of {len(which.policies)}"
        f"{'' if position else f' {policies}'} on {name}"
        for position, (name, which) in enumerate(found)
    ]
    return f"Which node's NodePort is dialled changes the answer {listed(parts)}."


def _same_but_for_the_node(cell: Observation) -> tuple[str, ...]:
    names = (cell.namespace, cell.client, cell.client_node, cell.server)
    return tuple(map(str, (*names, cell.service, cell.protocol, cell.port, cell.direction)))
