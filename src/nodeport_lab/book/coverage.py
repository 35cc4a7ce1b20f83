"""The page's tables of what a partial test misses, counted from what the atlas runs published."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from nbformat import NotebookNode

from nodeport_lab.book.figures import RUNS_FROM_CHAPTERS
from nodeport_lab.book.pasted import pasted
from nodeport_lab.model import ClientKind, Relation
from nodeport_lab.report.coverage import Answer, coverage_table
from nodeport_lab.report.grid import CONTROL
from nodeport_lab.report.published import JSON
from nodeport_lab.report.table import Note


def coverage(notebooks: Mapping[str, NotebookNode]) -> dict[str, bytes]:
    """File name -> content: for each suite of published observations a table to include.

    Args:
        notebooks: id of each run -> its notebook, in the order of the list of runs.
    """
    found: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    for run_id, notebook in notebooks.items():
        for document in pasted(notebook, JSON).values():
            found[document["suite"]][run_id] = document
    return {f"coverage-{suite}.md": _snippet(suite, runs).encode() for suite, runs in found.items()}


def _snippet(suite: str, runs: Mapping[str, Any]) -> str:
    table = coverage_table(
        {document["dataplane"]: list(answers(document)) for document in runs.values()},
        f"What a test of some nodes misses under policies of {suite}",
        Note(
            "Missed is a connection of a pod, the server itself included, to a NodePort that the "
            "test does not dial, if the test never saw its outcome for that pod and policy. For "
            "all dataplanes together a policy counts once on each.",
            tuple((run_id, f"{RUNS_FROM_CHAPTERS}/{run_id}.html") for run_id in runs),
        ),
    )
    return f"```{{raw}} html\n{table._repr_html_()}\n```\n"  # what a notebook would show


def answers(document: Mapping[str, Any]) -> Iterator[Answer]:
    """The connections of pods to NodePorts under a policy, as `published` wrote them down."""
    pods = {name for name, kind, _ in document["clients"] if kind == ClientKind.POD}
    for policy, row in zip(document["policies"], document["cells"], strict=True):
        for (client, _, _, _, relation, _), number in zip(document["ways"], row, strict=True):
            if number is None or relation is None or client not in pods:
                continue
            verdict, control, *_ = document["records"][number]
            if policy["name"] != CONTROL and control == "allowed" and verdict != "error":
                yield Answer(policy["name"], client, Relation(relation), verdict)
